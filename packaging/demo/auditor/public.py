"""Whether the public API answers what the topics tell and what the file ordered: each order's state, goods and total, its invoice,
and what was paid and given back."""
import story as stories
from story import Finding, pounds


def at(body, *names):
    for name in names:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def goods_in(body, field):
    lines = at(body, field)
    if not isinstance(lines, list):
        return None
    return stories.quantities([{"product_id": at(line, "product_id"), "quantity": at(line, "quantity") or 0} for line in lines])


def shown(value):
    return pounds(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


def due_of(story):
    """(what is to be paid, the event that says so)"""
    event = story.first("OrderReadied") or story.first("OrderCreated")
    return event.fields["total"]["minor"], event


def invoice_wanted(story):
    """{field: what the API must answer} or None: there is no invoice"""
    created, paid = story.first("InvoiceCreated"), story.first("InvoicePaid")
    if created is None:
        return None
    refunds, adjusted = story.all("InvoiceRefunded"), story.all("InvoiceAdjusted")
    given_back = sum(event.fields["amount"]["minor"] for event in refunds)
    state = "paid" if paid else "pending"
    if any(event.fields["is_whole"] for event in refunds):
        state = "refunded"
    elif story.first("InvoiceCanceled"):
        state = "canceled"
    return {"state": state, "first_amount": created.fields["amount"]["minor"],
            "amount": (adjusted or [created])[-1].fields["amount"]["minor"],
            "paid": (paid.fields["amount"]["minor"] if paid else 0) - given_back}


def compare_invoice(story, order, answer):
    wanted, invoice = invoice_wanted(story), at(answer.body, "invoice")
    if wanted is None or invoice is None:
        if wanted is not None or invoice is not None:
            yield f"the staff's API has {'no' if invoice is None else 'an'} invoice, the topics have {'none' if wanted is None else 'one'}"
        return
    for field, value in wanted.items():
        said = at(invoice, field) if field == "state" else at(invoice, field, "minor")
        if said != value:
            yield f"the staff's API says of its invoice: {field} {shown(said)}; the topics {shown(value)}"
    first = at(invoice, "first_amount", "minor")
    if order and first != order.total_minor:
        yield f"the staff's API invoiced {shown(first)}; invoice {order.invoice} adds up to {pounds(order.total_minor)}"


def compare_order(who, body, goods, story):
    due, event = due_of(story)
    end = story.end()
    if at(body, "status") != end:
        yield f"{who} calls it {at(body, 'status') or 'nothing'}, the topics {end}"
    if at(body, "total", "minor") != due:
        yield f"{who} says {shown(at(body, 'total', 'minor'))}, the topics {pounds(due)}"
    if goods_in(body, goods) != stories.quantities(event.fields["lines"]):
        yield f"{who} has other products or quantities than {event.name}"
    if end == "completed" and at(body, "paid") is not True:
        yield f"{who} calls it not paid, and it is completed"


def check_one(story, order, answers):
    """Sentences."""
    if story.first("OrderCreated") is None:
        return  # a finding already
    staff, kiosk, row = answers.staff.get(story.id), answers.kiosk.get(story.id), answers.listed.get(story.id)
    if row is None:
        yield "the staff's list does not have it"
    elif at(row, "status") != story.end():
        yield f"the staff's list calls it {at(row, 'status')}, the topics {story.end()}"
    for who, answer, goods in (("the staff's API", staff, "lines"), ("the kiosk", kiosk, "items")):
        if answer is None:
            yield f"{who} was not asked for it"
        elif answer.status == 403 and answer is kiosk and story.first("OrderApproved") is None:
            continue  # it ended before a card was bound to it: no card shows it (kiosk's README.md)
        elif answer.status != 200:
            yield f"{who} answers {answer.status} for it"
        else:
            yield from compare_order(who, answer.body, goods, story)
    if staff and staff.status == 200:
        yield from compare_invoice(story, order, staff)


def check(told, order_of, answers):
    """Findings. `order_of`: {order's id: Order of the file}"""
    for story in told.values():
        for what in check_one(story, order_of.get(story.id), answers):
            yield Finding("public", story.place(), what)
    for order in sorted((answers.staff.keys() | answers.listed.keys()) - told.keys()):
        yield Finding("public", f"order {order}", "the staff's API has it, the topics do not")


def sums_of(answers):
    """{what: pennies} by the staff's API alone"""
    sums = {"first_amount": 0, "amount": 0, "paid": 0}
    for answer in answers.staff.values():
        for field in sums:
            value = at(answer.body, "invoice", field, "minor")
            sums[field] += value if isinstance(value, int) else 0
    return sums
