"""The auditor's report as text."""
from story import pounds

SHOWN = 10  # findings of a kind; the rest is counted
TITLES = {"lost": "lost", "doubled": "doubled", "order": "out of order", "money": "wrong amount", "goods": "wrong goods",
          "rows": "wrong count of rows", "public": "told otherwise"}
GROUPS = (("ordered", "ordered and carried away"), ("cancelled", "cancelled"), ("refused", "refused"))


def _amount(billionths):
    pennies, rest = divmod(abs(billionths), 10_000_000)
    return ("-" if billionths < 0 else "") + pounds(pennies) + (f"{rest:07}".rstrip("0") if rest else "")


def _line(indent, title, rows, amount):
    return f"{' ' * indent}{title:<{36 - indent}}{rows:>10,} rows {_amount(amount):>18}"


def rows_table(figures, invoices):
    groups = {name: [0, 0] for name, _ in GROUPS}
    for fate, (rows, amount) in figures.fates.items():
        group = groups.setdefault(fate.split(":")[0].split(" ")[0], [0, 0])
        group[0] += rows
        group[1] += amount
    total = [sum(column) for column in zip(*figures.fates.values())] or [0, 0]
    yield _line(2, f"replayed, {invoices:,} invoices", *total)
    for name in groups:
        yield _line(4, dict(GROUPS).get(name, f"not ended: {name}"), *groups[name])
        parts = sorted(fate for fate in figures.fates if fate.startswith(name) and fate != name)
        for fate in parts:
            yield _line(6, fate.removeprefix("refused: "), *figures.fates[fate])
    added = [sum(column) for column in zip(*groups.values())]
    yield _line(4, "in sum" + (", as it must be" if added == total else ": DIFFERS"), *added)


def money_table(money):
    cash, card = money["paid by cash"], money["paid by card"]
    yield f"  submitted {pounds(money['created'])} = completed {pounds(money['created, completed'])} + cancelled " \
          f"{pounds(money['created, cancelled'])} + rejected {pounds(money['created, rejected'])}"
    yield f"  completed {pounds(money['created, completed'])} - not on the shelf, or not counted " \
          f"{pounds(money['created, completed'] - money['counted'])} = handed over {pounds(money['counted'])}"
    yield f"  paid {pounds(card + cash)} (card {pounds(card)}, cash {pounds(cash)}) - refunded {pounds(money['InvoiceRefunded'])} " \
          f"= kept {pounds(card + cash - money['InvoiceRefunded'])}"


def asked_table(asked):
    yield f"  {asked['staff']:,} orders at the staff's API, {asked['kiosk']:,} at the kiosk; by the former invoiced " \
          f"{pounds(asked['first_amount'])}, after counting {pounds(asked['amount'])}, paid less refunded {pounds(asked['paid'])}"


def _ms(value):
    return f"{value / 1000:,.2f} s" if value >= 10_000 else f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


def latency_table(latencies):
    yield f"  {'':<12}{'orders':>8}{'p50':>12}{'p90':>12}{'p99':>12}{'max':>12}"
    for leg, times in latencies.items():
        if times:
            shares = [times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.9, 0.99)] + [times[-1]]
            yield f"  {leg:<12}{len(times):>8,}" + "".join(f"{_ms(value):>12}" for value in shares)


def text(figures, findings, invoices):
    count, ends = figures.counts, figures.orders
    out = ["The auditor's report", "", "Rows of the invoices", *rows_table(figures, invoices), "",
           "Orders: " + (", ".join(f"{number:,} {end}" for end, number in sorted(ends.items())) or "none"),
           "", "Money", *money_table(figures.money), "",
           "What the public API answered to the auditor", *asked_table(figures.asked), "",
           "Time (submit: the kiosk's answer; the others: from the step before)", *latency_table(figures.latencies), "",
           f"Killed: {len(figures.kills)} processes; {figures.copies:,} messages published again and known by their id" if figures.kills
           else "Nobody was killed.",
           f"Events lost {count['lost']:,}, effects doubled {count['doubled']:,}, out of order {count['order']:,}, "
           f"wrong amounts {count['money']:,}, wrong goods {count['goods']:,}, rows that do not add up {count['rows']:,}, "
           f"told otherwise by the public API {count['public']:,}"]
    for kind, title in TITLES.items():
        of_kind = [finding for finding in findings if finding.kind == kind]
        out += [f"  {title}: {finding.where}: {finding.what}" for finding in of_kind[:SHOWN]]
        if len(of_kind) > SHOWN:
            out.append(f"  {title}: {len(of_kind) - SHOWN:,} more")
    many = "1 finding" if len(findings) == 1 else f"{len(findings):,} findings"
    out.append(f"Verdict: {many}" if findings else "Verdict: every row has its fate, every penny its place; nothing lost, nothing doubled")
    return "\n".join(out)
