"""The auditor's own reading of a file of retail invoices, by the rules of services/simulators/shoppers/README.md: what is to be
ordered, what cancels, what is refused and why. It shares no code with the shoppers.

Amounts of rows are in billionths of a pound, so that prices with many decimals add up exactly; a row whose quantity or price
cannot be read has none.
"""
import csv
import re
from collections import Counter, namedtuple

BILLIONTHS_OF_A_PENNY = 10_000_000
MAX_QUANTITY, MAX_LINES, MAX_MINOR = 100_000, 2_000, 10 ** 12
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "UnitPrice", "CustomerID")

_PRICE = re.compile(r"(-?)(\d{1,12})(?:\.(\d+))?")
_QUANTITY = re.compile(r"-?\d{1,18}")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class RetailError(Exception):
    pass


class Row:
    """What becomes of it: `fate` is "order", "cancel" or the reason of a refusal; `invoice` is the one it stands in."""

    def __init__(self, line, invoice):
        self.line, self.invoice, self.fate, self.amount = line, invoice, None, 0
        self.code, self.quantity, self.price_minor = "", 0, 0


# lines: {sku: quantity}; rows and cancel_rows: Rows.
Order = namedtuple("Order", "invoice customer lines total_minor rows cancel")


class Cancel:
    """The invoice that cancels an order, if one does."""

    def __init__(self):
        self.invoice, self.rows = "", []


def _is_text(text):
    return bool(text.strip(" ")) and len(text.strip(" ").encode("utf-8", "surrogateescape")) <= 200 \
        and not _UNPRINTABLE.search(text)


def _billionths(text):
    """(amount, decimals that count) or None."""
    match = _PRICE.fullmatch(text)
    if not match:
        return None
    sign, whole, decimals = match.groups()
    decimals = (decimals or "").rstrip("0")
    if len(decimals) > 9 or int(whole) * 100 > MAX_MINOR:
        return None
    value = int(whole) * 10 ** 9 + int(decimals.ljust(9, "0"))
    return (-value if sign else value), len(decimals)


def _judge(row, cells, is_cancellation):
    """The reason to refuse the row, or None; sets what it is about."""
    number, code, description, quantity, price, _ = cells
    row.code = "".join(c.upper() if c.isascii() else c for c in code)
    amount = _billionths(price)
    if _QUANTITY.fullmatch(quantity) and amount is not None:
        row.quantity, row.amount = int(quantity), int(quantity) * amount[0]
    elif number:
        return "unreadable"
    if not _is_text(number) or not _is_text(row.code) or (description and not _is_text(description)):
        return "unreadable"
    if not re.match(r"[0-9]{5}", row.code):
        return "not_goods"
    if amount[1] > 2:
        return "price_not_in_pennies"
    row.price_minor = amount[0] // BILLIONTHS_OF_A_PENNY
    if row.price_minor == 0:
        return "no_price"
    if row.price_minor < 0:
        return "negative_price"
    if is_cancellation:
        return "positive_quantity" if row.quantity > -1 else None
    return "negative_quantity" if row.quantity < 1 else None


class _Reader:
    def __init__(self, limit):
        self.rows, self.invoices, self.limit = [], {}, limit  # invoices: number -> (customer or None, [good rows])

    def add(self, line, cells):
        number = "".join(c.upper() if c.isascii() else c for c in cells[0]) if cells else ""
        if cells is None:
            if len(self.invoices) < self.limit:
                self.rows.append(Row(line, ""))
                self.rows[-1].fate = "unreadable"
            return
        if number not in self.invoices:
            if len(self.invoices) == self.limit:
                return
            self.invoices[number] = [None, []]
        row = Row(line, number)
        self.rows.append(row)
        invoice = self.invoices[number]
        row.fate = _judge(row, [number, *cells[1:]], number.startswith("C"))
        if invoice[0] is None and _is_text(number):
            invoice[0] = "C" + cells[5] if cells[5] else "G" + number
        if row.fate is None:
            invoice[1].append(row)


def _order(number, customer, rows):
    lines, kept, total = {}, [], 0
    for row in rows:
        sku = f"{row.code}@{row.price_minor // 100}.{row.price_minor % 100:02}"
        if lines.get(sku, 0) + row.quantity > MAX_QUANTITY or (sku not in lines and len(lines) == MAX_LINES):
            row.fate = "too_many"
        elif total + row.price_minor * row.quantity > MAX_MINOR:
            row.fate = "too_much"
        else:
            row.fate = "order"
            lines[sku] = lines.get(sku, 0) + row.quantity
            total += row.price_minor * row.quantity
            kept.append(row)
    return Order(number, customer, lines, total, kept, Cancel()) if kept else None


def _by_code(order):
    codes = Counter()
    for sku, quantity in order.lines.items():
        codes[sku.rpartition("@")[0]] += quantity
    return codes


def _cancel(number, rows, theirs):
    """`theirs`: the customer's orders so far."""
    wanted = Counter()
    for row in rows:
        wanted[row.code] -= row.quantity
    open_orders = [order for order in reversed(theirs) if not order.cancel.invoice]
    for order in open_orders:
        has = _by_code(order)
        if has == wanted:
            order.cancel.invoice, order.cancel.rows = number, rows
            for row in rows:
                row.fate = "cancel"
            return
    is_part = any(all(_by_code(order)[code] >= count for code, count in wanted.items()) for order in open_orders)
    for row in rows:
        row.fate = "cancels_a_part" if is_part else "cancels_nothing"


def _cells(text, header):
    """The six columns of a line, trimmed; None if it does not split into as many as the header has."""
    try:
        cells = next(csv.reader([text], strict=True, skipinitialspace=True), [])
    except csv.Error:
        return None
    if len(cells) != len(header):
        return None
    return [cells[header.index(name)].strip(" \t") for name in COLUMNS]


def read(path, limit):
    """(all Rows of the first `limit` invoices, Orders in the order of the file)"""
    reader, header = _Reader(limit), None
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
                if header is None:
                    header = [name.strip() for name in text.lstrip("\ufeff").split(",")]
                    missing = [name for name in COLUMNS if name not in header]
                    if missing:
                        raise RetailError(f"{path}: no column {missing[0]} in the first line")
                else:
                    reader.add(number, _cells(text, header))
    except OSError as error:
        raise RetailError(f"{path}: {error.strerror}") from error
    orders, theirs = [], {}
    for number, (customer, rows) in reader.invoices.items():
        if number.startswith("C"):
            if rows:
                _cancel(number, rows, theirs.get(customer, []))
            continue
        order = _order(number, customer, rows)
        if order:
            orders.append(order)
            theirs.setdefault(customer, []).append(order)
    return reader.rows, orders
