-- wrk: POST a body of BODY_BYTES when that is not 0, or GET from ROUTES routes in turn (see routes.py) when
-- that is not 0; pause PAUSE_MS after each answer; print one line of JSON in wrk's own integers.
local body_bytes = tonumber(os.getenv("BODY_BYTES"))
if body_bytes > 0 then
   wrk.method = "POST"
   wrk.body = string.rep("x", body_bytes)
   wrk.headers["Content-Type"] = "application/octet-stream"
end

local pause_ms = tonumber(os.getenv("PAUSE_MS"))
if pause_ms > 0 then
   delay = function()
      return pause_ms
   end
end

local routes = tonumber(os.getenv("ROUTES"))
if routes > 0 then
   local requests, turn = {}, 0
   init = function()
      for n = 1, routes do
         local number = ("%04d"):format(n - 1)
         local path = ("/bench/%s/item"):format(number)
         requests[n] = wrk.format("GET", path, {["Host"] = number .. ".bench.example"})
      end
   end
   request = function()
      turn = turn % routes + 1
      return requests[turn]
   end
end

function done(summary, latency, requests)
   local line = '{"duration_us": %d, "requests": %d, "p50_us": %d, "p99_us": %d, ' ..
      '"status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n'
   local errors = summary.errors
   io.write(line:format(summary.duration, summary.requests, latency:percentile(50), latency:percentile(99),
      errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
