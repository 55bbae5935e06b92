def run():
    items = []
    for i in range(5_000_000):
        items.append(i)
    s = 0
    for x in items:
        s += x
    return s
print(run())
