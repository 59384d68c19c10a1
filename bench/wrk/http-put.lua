-- Writes keys chosen at random. Arguments: keys, bytes of a value, services, a name of this run.
function init(args)
  keys = tonumber(args[1])
  bytes = tonumber(args[2])
  math.randomseed(1)
  local b = {}
  for i = 1, bytes do b[i] = string.char(math.random(0, 255)) end
  value = table.concat(b)
end

function request()
  return wrk.format("PUT", string.format("/v1/kv/bench/key/%08d", math.random(0, keys - 1)), nil, value)
end
