local items = {}
for i = 0, 4999999 do items[#items + 1] = i end
local s = 0
for _, x in ipairs(items) do s = s + x end
print(s)
