-- Asks for the healthy instances of services chosen at random. Arguments: keys, bytes of a value, services, a name of this run.
function init(args)
  services = tonumber(args[3])
  math.randomseed(1)
end

function request()
  return wrk.format("GET", string.format("/v1/health/service/svc-%d?passing", math.random(0, services - 1)))
end
