-- For wrk: sends different notifications, one pattern after the other, and tells what came of it as JSON.
-- `templates` (empty for GET), `method`, `path` and `headers` are written above this by benchmarks/load.py.
local number = 0
local many = #templates
local fixed

function request()
  if many == 0 then
    fixed = fixed or wrk.format(method, path, headers)
    return fixed
  end
  number = number + 1
  local parts = templates[number % many + 1]
  return wrk.format(method, path, headers, table.concat(parts, string.format("%012x", number)))
end

function done(summary, latency)
  local e = summary.errors
  print(string.format(
    '\n{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"failed":%d,"broken":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status, e.connect + e.read + e.write + e.timeout))
end
