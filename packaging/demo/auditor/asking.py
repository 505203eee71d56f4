"""What the auditor asks the public API itself, while the mall is still open, and keeps as evidence: each order at the staff's REST
API and at the kiosk's.

One line an answer: {"asked": PATH, "status": N, "body": as it came}, then {"answers": N}. The staff's API is asked for the list of
all orders, then for each of them; the kiosk for each order that the shoppers submitted, as its customer would at any kiosk: the card
(shoppers' README.md) gives the cart's token, which is written nowhere, and the token the order.
"""
from collections import namedtuple

import evidence
import http_client
import json_value

# staff, kiosk: {order: Answer}; listed: {order: row of the list}
Answers = namedtuple("Answers", "staff kiosk listed")
Answer = namedtuple("Answer", "status body")

STAFF, KIOSK = "/admin/v1/orders", "/kiosk/v1/orders"
CARDS = ("tok_shopper", "tok_slow_shopper")


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Log:
    def __init__(self, file):
        self.file, self.count = file, 0

    def note(self, path, status, text):
        try:
            body = json_value.parse(text)
        except ValueError:
            body, text = None, "null"
        self.file.write(f'{{"asked":{quoted(path)},"status":{status},"body":{text.strip()}}}\n')
        self.count += 1
        return body


def signed_in(client, name, password):
    """The headers of a session."""
    status, headers, text = client.ask("POST", "/admin/v1/session", f'{{"name":{quoted(name)},"password":{quoted(password)}}}')
    if status != 200:
        raise evidence.EvidenceError(f"the auditor cannot sign in as {name}: {status} {text[:200]}")
    return (("Cookie", headers["set-cookie"].split(";")[0]),)


def ask_staff(client, session, log):
    orders, cursor = [], ""
    while cursor is not None:
        path = f"{STAFF}?limit=200" + (f"&cursor={cursor}" if cursor else "")
        status, _, text = client.ask("GET", path, headers=session)
        page = log.note(path, status, text)
        if status != 200 or not isinstance(page, dict):
            raise evidence.EvidenceError(f"{path}: {status} {text[:200]}")
        orders += [row["id"] for row in page["orders"]]
        cursor = page["next"]
    for order in orders:
        status, _, text = client.ask("GET", f"{STAFF}/{order}", headers=session)
        log.note(f"{STAFF}/{order}", status, text)


def ask_kiosk(client, run, results, log):
    for result in results:
        if result["outcome"] != "submitted":
            continue
        path = f"{KIOSK}/{result['order_id']}"
        for card in CARDS:
            status, _, text = client.ask("POST", f"{path}/locate", f'{{"card_token":"{card}_{run}_{result["invoice"]}"}}')
            if status == 200:
                token = json_value.parse(text)["token"]
                status, _, text = client.ask("GET", path, headers=(("Cart-Token", token),))
                break
        log.note(path, status, text)


def ask(given):
    """Of the command line: admin, staff, password-file, kiosk, run, shoppers, answers. Gives how many answers there are."""
    try:
        with open(given["password-file"], encoding="utf-8") as file:
            password = file.readline().rstrip("\n")
        results, _ = evidence.read_results(given["shoppers"])
        admin = http_client.Client(given["admin"])
        with open(given["answers"], "w", encoding="utf-8") as file:
            log = Log(file)
            ask_staff(admin, signed_in(admin, given["staff"], password), log)
            ask_kiosk(http_client.Client(given["kiosk"]), given["run"], results, log)
            file.write(f'{{"answers":{log.count}}}\n')
        return log.count
    except (OSError, ValueError, KeyError, TypeError, http_client.HttpError) as error:
        raise evidence.EvidenceError(f"asking the public API: {error or type(error).__name__}") from error


def read_answers(path):
    """Answers, of the file that ask() wrote."""
    answers, lines = Answers({}, {}, {}), []
    for number, text in evidence.lines(path):
        try:
            lines.append(json_value.parse(text))
            asked, body = lines[-1].get("asked", ""), lines[-1].get("body")
            if asked.startswith(STAFF + "?"):
                answers.listed.update({row["id"]: row for row in body["orders"]})
            for prefix, kept in ((STAFF + "/", answers.staff), (KIOSK + "/", answers.kiosk)):
                if asked.startswith(prefix):
                    kept[asked[len(prefix):]] = Answer(lines[-1]["status"], body)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise evidence.EvidenceError(f"{path}:{number}: no answer of the public API ({error})") from error
    if not lines or lines[-1].get("answers") != len(lines) - 1:
        raise evidence.EvidenceError(f"{path}: the closing line is missing; the auditor did not come to its end of asking")
    return answers
