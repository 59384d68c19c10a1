-- Registers instances that were not there before, each with a check. Arguments: keys, bytes of a value, services, a name of this run.
function init(args)
  services = tonumber(args[3])
  run = args[4]
  n = 0
  headers = {["Content-Type"] = "application/json"}
end

function request()
  n = n + 1
  local body = string.format('{"ID":"i-%s-%d","Name":"reg-%d","Port":8080,"Tags":["v1"],"Check":{"TTL":"30m","Status":"passing"}}', run, n, n % services)
  return wrk.format("PUT", "/v1/agent/service/register", headers, body)
end
