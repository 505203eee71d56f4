"""The audit itself: pure functions from evidence to figures and findings.

What must hold, and is a finding when it does not:

  rows     every row of the invoices has one fate: ordered (its order was completed), cancelled, or refused under a reason; the
           shoppers counted the same refusals
  orders   every invoice that was to be ordered is one order of the topics, with exactly its products, quantities and total, or was
           refused to the customer's face and is none; nobody else ordered
  events   those of one order, invoice and list come in an order that the rules allow, each effect once, and what must follow has
           followed (story.py); a message published again under its id is no second effect, but only a kill excuses it
  money    paid less refunded is what was counted, order by order and in sum
  public   the kiosk told the shoppers of every order what the topics say; the staff's API and the kiosk answer the same to the
           auditor, order by order, with its invoice, payment and refunds (public.py)
"""
from collections import Counter, defaultdict, namedtuple

import public
import story as stories
from story import Finding, Story, pounds

# topics, results and closing line of the shoppers, answers of the public API, kills; as evidence.py and asking.py read them
Evidence = namedtuple("Evidence", "topics results closing answers kills")
# tables of the report; see report.py
Figures = namedtuple("Figures", "fates orders money copies kills latencies counts asked")

ORDER, CART, INVOICE, LIST, PRODUCT = ("mallbots.orders.events.Order", "mallbots.orders.events.Cart",
                                       "mallbots.payments.events.Invoice", "mallbots.depot.events.ShoppingList",
                                       "mallbots.stores.events.Product")


def without_copies(topics, kills):
    """({topic: events in which each id comes once}, number of copies, findings)"""
    kept, copies, findings = {}, 0, []
    for topic, events in topics.items():
        seen, last, kept[topic] = set(), {}, []
        for event in events:
            at = f"{topic}/{event.partition}/{event.offset}"
            if event.offset <= last.get(event.partition, -1):
                findings.append(Finding("order", at, f"{event.name} behind offset {last[event.partition]}"))
            last[event.partition] = max(event.offset, last.get(event.partition, -1))
            if event.id in seen:
                copies += 1
                if not kills:
                    key = event.fields.get("order_id") or event.fields.get("id") if event.fields else ""
                    what = "published twice under one id, and nobody was killed"
                    findings.append(Finding("doubled", f"order {key}, {event.name} at {at}", what))
                continue
            seen.add(event.id)
            kept[topic].append(event)
    return kept, copies, findings


def tell(topics):
    """({order: Story}, findings): the events of all topics, order by order."""
    told, order_of_list, findings = {}, {}, []

    def story_of(order):
        return told.setdefault(order, Story(order))

    for event in topics.get(CART, []):
        if event.name == "CartCheckedOut":
            story_of(event.fields["id"]).cart.append(event)
    for event in topics.get(ORDER, []):
        if event.fields:
            story_of(event.fields["id"]).order.append(event)
    for event in topics.get(INVOICE, []):
        if event.fields:
            story_of(event.fields.get("order_id") or event.fields["id"]).invoice.append(event)
    for event in topics.get(LIST, []):
        if event.fields and event.fields.get("order_id"):
            order_of_list[event.fields["id"]] = event.fields["order_id"]
    lists = defaultdict(set)
    for event in topics.get(LIST, []):
        order = order_of_list.get(event.fields["id"]) if event.fields else None
        if order:
            lists[order].add(event.fields["id"])
            story_of(order).list.append(event)
    for order, ids in lists.items():
        if len(ids) > 1:
            findings.append(Finding("doubled", f"order {order}", f"{len(ids)} shopping lists: {', '.join(sorted(ids))}"))
    return told, findings


def compare_order(order, story, sku_of):
    """Findings: the order of the topics against the invoice of the file."""
    created = story.first("OrderCreated")
    if created is None:
        yield Finding("lost", story.place(), f"invoice {order.invoice} was submitted, and there is no such order")
        return
    has = Counter()
    for product, quantity in stories.quantities(created.fields["lines"]).items():
        has[sku_of.get(product, product)] += quantity
    if dict(has) != order.lines:
        wrong = sorted(sku for sku in has.keys() | order.lines.keys() if has.get(sku, 0) != order.lines.get(sku, 0))
        yield Finding("goods", story.place(created), f"invoice {order.invoice} has {order.lines.get(wrong[0], 0)} of {wrong[0]}, "
                                                     f"the order {has.get(wrong[0], 0)}; {len(wrong)} products differ")
    total = created.fields["total"]["minor"]
    if total != order.total_minor:
        yield Finding("money", story.place(created), f"{pounds(total)}; invoice {order.invoice} adds up to {pounds(order.total_minor)}")


def compare_public(result, story):
    """What the kiosk told at last."""
    end = story.end()
    if result.get("status") != end:
        yield Finding("public", story.place(), f"the kiosk calls it {result.get('status') or 'nothing'}, the topics {end}")
    readied, created = story.first("OrderReadied"), story.first("OrderCreated")
    due = (readied or created).fields["total"]["minor"] if created else None
    if due is not None and result.get("final_total_minor") != due:
        what = f"the kiosk says {result.get('final_total_minor')} pennies, the topics {due}"
        yield Finding("public", story.place(readied or created), what)


def settle(order, result, told, sku_of):
    """(fate of the order's rows, fate of the rows that cancel it, findings)"""
    invoice = f"invoice {order.invoice}"
    if result is None:
        return "unknown", "unknown", [Finding("lost", invoice, "the shoppers say nothing of it")]
    outcome = result["outcome"]
    if outcome != "submitted":
        findings = []
        if outcome not in ("declined", "refused"):
            findings.append(Finding("lost", invoice, f"the shoppers gave up: {result.get('reason')}"))
        elif result.get("order_id") in told:
            findings.append(Finding("doubled", f"order {result['order_id']}", f"{invoice} was {outcome}, and it is an order all the same"))
        return f"refused: {'card declined' if outcome == 'declined' else outcome}", "refused: cancels nothing ordered", findings
    story = told.get(result["order_id"]) or Story(result["order_id"])
    findings = [*compare_order(order, story, sku_of), *compare_public(result, story)]
    end = story.end()
    fate = {"completed": "ordered", "rejected": "refused: rejected by the shop"}.get(end, end)
    if end == "cancelled":
        canceled = story.first("OrderCanceled")
        fate = "cancelled by the staff" if canceled.fields["by_staff"] else "cancelled by the customer"
    cancels = "cancelled by the customer"
    if order.cancel.rows:
        is_done = result.get("cancel") == "accepted"
        if not is_done:
            cancels = "refused: cancels too late"
        if is_done and end not in ("cancelled", "rejected"):
            findings.append(Finding("lost", story.place(), f"its cancellation was accepted, and it is {end}"))
    return fate, cancels, findings


def fates_of(rows, orders, results, told, sku_of):
    """({fate: [rows, billionths]}, findings)"""
    by_invoice, findings, table = {}, [], defaultdict(lambda: [0, 0])
    for result in results:
        if result["invoice"] in by_invoice:
            findings.append(Finding("doubled", f"invoice {result['invoice']}", "the shoppers ordered it twice"))
        by_invoice[result["invoice"]] = result
    fates = {}
    for order in orders:
        fate, cancels, found = settle(order, by_invoice.pop(order.invoice, None), told, sku_of)
        fates[order.invoice] = fate
        if order.cancel.rows:
            fates[order.cancel.invoice] = cancels
        findings += found
    for invoice in by_invoice:
        findings.append(Finding("goods", f"invoice {invoice}", "the shoppers ordered it, and the file has nothing to order there"))
    for row in rows:
        fate = fates[row.invoice] if row.fate in ("order", "cancel") else f"refused: {row.fate}"
        table[fate][0] += 1
        table[fate][1] += row.amount
    return dict(table), findings


def compare_refusals(rows, closing):
    """The shoppers' own count of what they did not even try."""
    ours = Counter(row.fate for row in rows if row.fate not in ("order", "cancel"))
    theirs = {name[len("refused_"):]: count for name, count in closing.items() if name.startswith("refused_")}
    for reason in sorted(ours.keys() | theirs.keys()):
        if ours.get(reason, 0) != theirs.get(reason, 0):
            what = f"the shoppers refused {theirs.get(reason, 0)} rows, by the rules it is {ours.get(reason, 0)}"
            yield Finding("rows", f"reason {reason}", what)
    if closing.get("rows") != len(rows):
        yield Finding("rows", "the whole file", f"the shoppers read {closing.get('rows')} rows, it has {len(rows)}")


def money_of(told):
    sums = Counter()
    for story in told.values():
        for event in story.order + story.invoice:
            fields = event.fields
            if event.name == "OrderCreated":
                sums["created"] += fields["total"]["minor"]
                sums[f"created, {story.end()}"] += fields["total"]["minor"]
            elif event.name == "InvoicePaid":
                sums["paid by " + (fields["paid_by"] or "card")] += fields["amount"]["minor"]
            elif event.name in ("InvoiceCreated", "InvoiceRefunded"):
                sums[event.name] += fields["amount"]["minor"]
        readied = story.first("OrderReadied")
        if story.end() == "completed" and readied:
            sums["counted"] += readied.fields["total"]["minor"]
    return sums


def latencies_of(told, results):
    """{leg: [ms]}"""
    legs = {"submit": [result["submit_us"] / 1000 for result in results if result["outcome"] == "submitted"]}

    def leg(title, begin, end):
        legs[title] = [last.ts_ms - first.ts_ms for first, last in
                       ((story.first(begin), story.first(end)) for story in told.values()) if first and last]

    leg("approved", "CartCheckedOut", "OrderApproved")
    leg("fetched", "OrderApproved", "BotArrivedAtDepot")
    leg("ready", "BotArrivedAtDepot", "OrderReadied")
    leg("released", "OrderReadied", "OrderCompleted")
    leg("all of it", "CartCheckedOut", "OrderCompleted")
    return {title: sorted(times) for title, times in legs.items()}


def audit(rows, orders, seen):
    """(Figures, findings) of Evidence."""
    results = seen.results
    topics, copies, findings = without_copies(seen.topics, seen.kills)
    told, found = tell(topics)
    findings += found
    sku_of = {event.fields["id"]: event.fields["sku"] for event in topics[PRODUCT] if event.name == "ProductAdded"}
    fates, found = fates_of(rows, orders, results, told, sku_of)
    findings += found
    findings += compare_refusals(rows, seen.closing)
    of_file = {order.invoice: order for order in orders}
    findings += public.check(told, {result.get("order_id"): of_file.get(result["invoice"]) for result in results}, seen.answers)
    known = {result.get("order_id") for result in results}
    for story in told.values():
        findings += stories.check(story)
        if story.id not in known:
            findings.append(Finding("goods", story.place(), "an order that none of the shoppers made"))
    for topic, events in topics.items():
        if topic.endswith(".dlq"):
            findings += [Finding("lost", f"{topic}/{event.partition}/{event.offset}", f"dead letter: {event.name}") for event in events]
    money = money_of(told)
    kept = money["paid by card"] + money["paid by cash"] - money["InvoiceRefunded"]
    if kept != money["counted"]:
        findings.append(Finding("money", "all orders", f"{pounds(kept)} were kept, {pounds(money['counted'])} were counted and released"))
    asked = public.sums_of(seen.answers)
    if asked["paid"] != kept:
        what = f"by the staff's API {pounds(asked['paid'])} were kept, by the topics {pounds(kept)}"
        findings.append(Finding("public", "all orders", what))
    ends = Counter(story.end() for story in told.values())
    counts = Counter(finding.kind for finding in findings)
    asked |= {"staff": len(seen.answers.staff), "kiosk": sum(answer.status == 200 for answer in seen.answers.kiosk.values())}
    return Figures(fates, ends, money, copies, seen.kills, latencies_of(told, results), counts, asked), findings
