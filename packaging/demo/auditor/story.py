"""One order's story, put together from all topics, and what is wrong with it.

  lost     something that must follow from what is there is not there
  doubled  an effect that happened twice
  order    events of one thing in an order that its rules do not allow
  money    amounts that do not agree
  goods    products or counts that do not agree
"""
from collections import Counter, namedtuple

# where: what a person needs to find it: the order, and the record if there is one.
Finding = namedtuple("Finding", "kind where what")

# event -> those that may come right before it; "": it may be the first
ORDER_PATH = {
    "OrderCreated": {""},
    "OrderRejected": {"OrderCreated"},
    "OrderApproved": {"OrderCreated"},
    "OrderStarted": {"OrderApproved", "OrderPaid"},
    "OrderPaid": {"OrderApproved", "OrderStarted", "OrderReadied"},
    "OrderReadied": {"OrderApproved", "OrderStarted", "OrderPaid"},
    "OrderCanceled": {"OrderCreated", "OrderApproved", "OrderStarted", "OrderPaid", "OrderReadied"},
    "OrderCompleted": {"OrderPaid", "OrderReadied"},
}
INVOICE_PATH = {
    "InvoiceCreated": {""},
    "InvoiceAdjusted": {"InvoiceCreated", "InvoicePaid"},
    "InvoicePaid": {"InvoiceCreated", "InvoiceAdjusted"},
    "InvoiceRefunded": {"InvoicePaid", "InvoiceAdjusted", "InvoiceRefunded"},
    "InvoiceCanceled": {"InvoiceCreated", "InvoiceAdjusted"},
}
LIST_PATH = {
    "ShoppingListAvailable": {"", "ShoppingListAvailable", "ShoppingListAssigned", "ShoppingStranded"},
    "ShoppingListAssigned": {"ShoppingListAvailable"},
    "ShoppingStarted": {"ShoppingListAssigned"},
    "BotArrivedAtStore": {"ShoppingStarted", "ItemsPickedUp"},
    "ItemsPickedUp": {"BotArrivedAtStore"},
    "ShoppingFinished": {"ItemsPickedUp", "ShoppingStarted"},
    "BotArrivedAtDepot": {"ShoppingFinished"},
    "ShoppingStranded": {"ShoppingStarted", "BotArrivedAtStore", "ItemsPickedUp", "ShoppingFinished", "BotArrivedAtDepot"},
    "ShoppingListCompleted": {"BotArrivedAtDepot"},
    "ShoppingListCanceled": {"", "ShoppingListAvailable", "ShoppingListAssigned", "ShoppingStarted", "BotArrivedAtStore",
                             "ItemsPickedUp", "ShoppingFinished", "BotArrivedAtDepot", "ShoppingStranded"},
}
ENDS = {"OrderRejected": "rejected", "OrderCanceled": "cancelled", "OrderCompleted": "completed"}


class Story:
    """What the topics tell of one order: its cart's events, its own, its invoice's, its shopping list's."""

    def __init__(self, order_id):
        self.id, self.cart, self.order, self.invoice, self.list = order_id, [], [], [], []

    def first(self, name):
        for event in self.cart + self.order + self.invoice + self.list:
            if event.name == name:
                return event
        return None

    def all(self, name):
        return [event for event in self.cart + self.order + self.invoice + self.list if event.name == name]

    def end(self):
        """rejected, cancelled, completed; else the last event's name, or nothing"""
        ends = [ENDS[event.name] for event in self.order if event.name in ENDS]
        return ends[0] if ends else (self.order[-1].name if self.order else "nothing")

    def place(self, event=None):
        return f"order {self.id}" + (f", {event.name} at {event.topic}/{event.partition}/{event.offset}" if event else "")


def quantities(lines):
    """{product: quantity}"""
    sums = Counter()
    for line in lines:
        sums[line["product_id"]] += line["quantity"]
    return {product: quantity for product, quantity in sums.items() if quantity}


def sum_of(lines):
    return sum(line["price"]["minor"] * line["quantity"] for line in lines)


def check_path(story, events, path):
    """Each event may follow the one before it; all but those of the robots' roundabouts happen once."""
    before, seen = "", set()
    for event in events:
        if event.name in path and before not in path[event.name]:
            if event.name in seen:
                yield Finding("doubled", story.place(event), f"a second {event.name}")
                continue
            named = f"right after {before}" if before else "as the first"
            yield Finding("order" if seen else "lost", story.place(event), f"{event.name} {named}")
        if event.name in path:
            before = event.name
            seen.add(before)


def _lost(story, what):
    return Finding("lost", story.place(), what)


def check_links(story):
    """What one context told has reached the next one."""
    has = {event.name for event in story.cart + story.order + story.invoice + story.list}
    end = story.end()
    if "CartCheckedOut" in has and "OrderCreated" not in has:
        yield _lost(story, "the cart was checked out, and no OrderCreated followed")
    if "OrderCreated" in has and "CartCheckedOut" not in has:
        yield _lost(story, "OrderCreated, but no CartCheckedOut before it")
    if "OrderCreated" in has and end not in ENDS.values():
        yield _lost(story, f"it has not come to an end: nothing follows {end}")
    for cause, effect in (("OrderApproved", "InvoiceCreated"), ("InvoiceCreated", "OrderApproved"), ("OrderPaid", "InvoicePaid"),
                          ("OrderReadied", "ShoppingListCompleted"), ("OrderStarted", "ShoppingStarted")):
        if cause in has and effect not in has:
            yield _lost(story, f"{cause}, but no {effect}")
    if end == "completed":
        for name in ("OrderApproved", "OrderReadied", "OrderPaid", "InvoicePaid", "ShoppingListCompleted"):
            if name not in has:
                yield _lost(story, f"completed without {name}")
    if end == "cancelled" and "OrderApproved" in has and not has & {"ShoppingListCanceled", "ShoppingListCompleted"}:
        yield _lost(story, "cancelled, but its shopping list was not")


def check_money(story):
    """Invoice, payment and refunds of one order agree with what it says itself."""
    created, readied, paid = (story.first(name) for name in ("OrderCreated", "OrderReadied", "InvoicePaid"))
    if created is None:
        return
    total = created.fields["total"]["minor"]

    def compare(event, amount, wanted, what):
        if amount != wanted:
            yield Finding("money", story.place(event), f"{pounds(amount)}, {what} {pounds(wanted)}")

    def amount_of(event):
        return event.fields["amount"]["minor"]

    yield from compare(created, sum_of(created.fields["lines"]), total, "the sum of its lines; its total says")
    for name, what in (("CartCheckedOut", "its cart's total; the order says"), ("OrderApproved", "approved over; created over")):
        event = story.first(name)
        if event:
            yield from compare(event, event.fields["total"]["minor"], total, what)
    due = readied.fields["total"]["minor"] if readied else total
    if readied:
        yield from compare(readied, sum_of(readied.fields["lines"]), due, "the sum of what was counted; its total says")
        if due > total:
            yield Finding("money", story.place(readied), f"{pounds(due)}, more than was confirmed, {pounds(total)}")
    invoice = story.first("InvoiceCreated")
    if invoice:
        yield from compare(invoice, amount_of(invoice), total, "invoiced; the order was over")
    adjusted = story.first("InvoiceAdjusted")
    if adjusted:
        yield from compare(adjusted, amount_of(adjusted), due, "the adjusted invoice; counted were")
    elif invoice and readied and due != total:
        yield _lost(story, f"{pounds(total)} invoiced, {pounds(due)} counted, and no InvoiceAdjusted")
    given_back = sum(amount_of(event) for event in story.all("InvoiceRefunded"))
    if paid:
        before = adjusted and story.invoice.index(adjusted) < story.invoice.index(paid)
        yield from compare(paid, amount_of(paid), due if before else total, "paid; the invoice was over")
    kept = (amount_of(paid) if paid else 0) - given_back
    wanted = {"completed": due, "cancelled": 0, "rejected": 0}.get(story.end())
    if wanted is not None and kept != wanted:
        yield Finding("money", story.place(paid), f"{pounds(kept)} were kept of an order that is {story.end()}; "
                                                  f"it should be {pounds(wanted)}")


def check_goods(story):
    """What was ordered, fetched and counted agree."""
    created, readied, counted = (story.first(name) for name in ("OrderCreated", "OrderReadied", "ShoppingListCompleted"))
    if created is None:
        return
    ordered = quantities(created.fields["lines"])
    cart = story.first("CartCheckedOut")
    if cart and quantities(cart.fields["lines"]) != ordered:
        yield Finding("goods", story.place(created), "other products or quantities than its cart had")
    stops = Counter((event.fields["id"], event.fields["store_id"]) for event in story.all("ItemsPickedUp"))
    for (_, store), times in stops.items():
        if times > 1:
            yield Finding("doubled", story.place(story.first("ItemsPickedUp")), f"the items of store {store} picked up {times} times")
    fetched = Counter()
    for event in story.all("ItemsPickedUp"):
        for count in event.fields["picked"]:
            fetched[count["product_id"]] += count["quantity"]
    if counted is None:
        return
    arrived = quantities(counted.fields["items"])
    if any(quantity > ordered.get(product, 0) for product, quantity in arrived.items()):
        yield Finding("goods", story.place(counted), "more counted than was ordered")
    if any(quantity > fetched[product] for product, quantity in arrived.items()):
        yield Finding("goods", story.place(counted), "more counted than robots picked up")
    if readied and quantities(readied.fields["lines"]) != arrived:
        yield Finding("goods", story.place(readied), "other products or quantities than were counted")


def pounds(minor):
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100:,}.{abs(minor) % 100:02}"


def check(story):
    yield from check_path(story, story.order, ORDER_PATH)
    yield from check_path(story, story.invoice, INVOICE_PATH)
    yield from check_path(story, story.list, LIST_PATH)
    yield from check_links(story)
    yield from check_money(story)
    yield from check_goods(story)
