class Counter:
    def __init__(self):
        self.n = 0
    def add(self, k):
        self.n += k
def run():
    c = Counter()
    for i in range(10_000_000):
        c.add(i)
    return c.n
print(run())
