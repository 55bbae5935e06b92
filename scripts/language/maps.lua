local m = {}
local count = 0
for i = 0, 999999 do
  local k = i * 7919 % 1000003
  if m[k] == nil then count = count + 1 end
  m[k] = i
end
for i = 0, 199999 do
  local k = "k" .. i % 50000
  if m[k] == nil then count = count + 1 end
  m[k] = i
end
local s = 0
for i = 0, 1000002 do s = s + (m[i] or 0) end
for i = 0, 199999 do s = s + m["k" .. i % 50000] end
print(count, s)
