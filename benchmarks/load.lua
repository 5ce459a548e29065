-- wrk: POST a body of BODY_BYTES when that is not 0; print one line of JSON in wrk's own integers.
local body_bytes = tonumber(os.getenv("BODY_BYTES"))
if body_bytes > 0 then
   wrk.method = "POST"
   wrk.body = string.rep("x", body_bytes)
   wrk.headers["Content-Type"] = "application/octet-stream"
end

function done(summary, latency, requests)
   local line = '{"duration_us": %d, "requests": %d, "p50_us": %d, "p99_us": %d, ' ..
      '"status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n'
   local errors = summary.errors
   io.write(line:format(summary.duration, summary.requests, latency:percentile(50), latency:percentile(99),
      errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
