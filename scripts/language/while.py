def run():
    s = 0
    i = 0
    while i < 50_000_000:
        s += i % 7
        i += 1
    return s
print(run())
