-- Reads keys chosen at random. Arguments: keys, bytes of a value, services, a name of this run.
function init(args)
  keys = tonumber(args[1])
  math.randomseed(1)
end

function request()
  return wrk.format("GET", string.format("/v1/kv/bench/key/%08d", math.random(0, keys - 1)))
end
