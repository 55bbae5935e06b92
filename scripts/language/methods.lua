local Counter = {}
Counter.__index = Counter
function Counter:add(k) self.n = self.n + k end
local c = setmetatable({n = 0}, Counter)
for i = 0, 9999999 do c:add(i) end
print(c.n)
