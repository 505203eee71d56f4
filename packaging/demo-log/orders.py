#!/usr/bin/env python3
"""Orders for the demo, as the columns of a retailer's invoices: InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,
CustomerID,Country.

orders.py generate LINES [SEED] > FILE    invented ones with a title line, always the same for the same seed: mostly short invoices
                                          and some of hundreds of lines, cancellations, exact twins, empty fields, quoted commas,
                                          letters beyond ASCII, non-goods
orders.py feed FILE SECONDS               the lines of FILE to stdout, evenly over so many seconds (0: at once), without the title
"""
import os
import random
import sys
import time

TITLE = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
COLOURS = ["RED", "BLUE", "IVORY", "PINK", "CREAM", "RÉGENCE", "ANTIQUE"]
THINGS = ["LANTERN", "TEA TOWEL", "CAKE STAND", "MUG", "ALARM CLOCK", '"BAG, JUMBO"', "CAFÉ SIGN", '"CANDLE, SCENTED"', "BUNTING"]
COUNTRIES = ["United Kingdom"] * 9 + ["France", "Germany", "EIRE", "Österreich"]
TICK_S = 0.005


def catalogue(rng):
    goods = []
    for number in range(2000):
        thing = rng.choice(THINGS)
        name = f'"{rng.choice(COLOURS)} {thing[1:]}' if thing.startswith('"') else f"{rng.choice(COLOURS)} {thing}"
        goods.append((f"{20000 + number}{rng.choice(['', '', 'A', 'b'])}", name, f"{rng.randrange(20, 2000) / 100:.2f}"))
    return goods + [("POST", "POSTAGE", "18.0"), ("M", "Manual", "0.0"), ("D", "Discount", "5.5"), ("22000", "", "0.0")]


def invoices(rng):
    """Endless: lists of lines of one invoice."""
    goods, minute, number = catalogue(rng), 0, 500_000
    while True:
        number += 1
        minute += rng.randrange(0, 12)
        cancelled = rng.random() < 0.15
        customer = "" if rng.random() < 0.2 else f"{rng.randrange(12346, 18288)}.0"
        country = rng.choice(COUNTRIES)
        day, hour, rest = 1 + minute // 600 % 28, 8 + minute % 600 // 60, minute % 60
        date = f"2010-{1 + minute // 16800 % 12:02}-{day:02} {hour:02}:{rest:02}:00"
        lines = []
        for _ in range(rng.randrange(200, 600) if rng.random() < 0.02 else 1 + int(rng.expovariate(1 / 12))):
            code, name, price = rng.choice(goods)
            count = -rng.randrange(1, 20) if cancelled else rng.choice([1, 2, 6, 12, 24, 96])
            lines.append(f"{'C' if cancelled else ''}{number},{code},{name},{count},{date},{price},{customer},{country}")
            if rng.random() < 0.01:
                lines.append(lines[-1])
        yield lines


def generate(count, seed=1):
    out = [TITLE]
    for lines in invoices(random.Random(seed)):
        out.extend(lines[:count + 1 - len(out)])
        if len(out) > count:
            break
    sys.stdout.buffer.write("".join(line + "\n" for line in out).encode())


def feed(path, seconds):
    with open(path, "rb") as file:
        lines = file.readlines()
    if lines and lines[0].startswith(b"InvoiceNo,"):
        del lines[0]
    begin, sent = time.monotonic(), 0
    while sent < len(lines):
        passed = time.monotonic() - begin
        due = len(lines) if passed >= seconds else int(len(lines) * passed / seconds)
        rest = memoryview(b"".join(lines[sent:due]))
        while rest:
            rest = rest[os.write(1, rest):]
        sent = due
        time.sleep(TICK_S)


def main(arguments):
    if arguments[:1] == ["generate"] and len(arguments) in (2, 3):
        generate(*map(int, arguments[1:]))
    elif arguments[:1] == ["feed"] and len(arguments) == 3:
        feed(arguments[1], float(arguments[2]))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
