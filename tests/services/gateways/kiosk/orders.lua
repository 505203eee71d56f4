-- For wrk: each thread, with one connection of its own, is a kiosk that orders over and over: stores, cart, items, review, submit, order.
-- Every answer that is not the expected one is counted, and the first one of each thread said.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(arguments)
  wrong, answers, orders, turn, step, first = 0, 0, 0, 0, 1, ""
end

local steps = {
  {"GET", "/kiosk/v1/stores", 200},
  {"POST", "/kiosk/v1/carts", 201, key = true},
  {"PUT", "/items/p1", 200, body = '{"quantity":2}'},
  {"PUT", "/items/p2", 200, body = '{"quantity":1}'},
  {"GET", "/items", 200},
  {"POST", "/review", 200},
  {"POST", "/submit", 201, key = true,
   body = '{"phone":"+441234567890","name":"Ann","card_token":"tok_visa","confirmed_total":{"minor":699,"currency":"GBP"}}'},
  {"GET", "/kiosk/v1/orders/", 200},
}

function request()
  local it = steps[step]
  local headers = {["Content-Type"] = "application/json"}
  if it.key then headers["Idempotency-Key"] = string.format("wrk-%04d-%010d", number, turn) end
  local path = it[2]
  if step > 2 then
    headers["Cart-Token"] = token
    path = step == #steps and path .. id or "/kiosk/v1/carts/" .. id .. path
  end
  return wrk.format(it[1], path, headers, it.body or "")
end

function response(status, headers, body)
  answers = answers + 1
  if status ~= steps[step][3] then
    wrong = wrong + 1
    if first == "" then first = steps[step][2] .. " " .. status .. " " .. body end
    step, turn = 1, turn + 1
    return
  end
  if step == 2 then
    id, token = body:match('"id":"([^"]+)"'), body:match('"token":"([^"]+)"')
  end
  if step == #steps then step, turn, orders = 1, turn + 1, orders + 1 else step = step + 1 end
end

function done(summary, latency, requests)
  local all, bad, made = 0, 0, 0
  for _, thread in ipairs(threads) do
    all, bad, made = all + thread:get("answers"), bad + thread:get("wrong"), made + thread:get("orders")
    if thread:get("first") ~= "" then print("wrong: " .. thread:get("first")) end
  end
  local e = summary.errors
  print(string.format("answers %d, orders %d, wrong %d, broken %d", all, made, bad, e.connect + e.read + e.write + e.timeout))
end
