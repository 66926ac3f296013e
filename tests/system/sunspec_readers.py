"""Programs that read and steer a SunSpec device with software that none of us wrote.

They run in environments of their own, `python -c PROGRAM PORT SECONDS`, and say one JSON document each.
"""

PYSUNSPEC2 = """
import json, sys, time
import sunspec2.modbus.client as client

port = int(sys.argv[1])
device = client.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=5)
device.scan()
models = [model for key, found in device.models.items() if isinstance(key, int) for model in found]

def told(model):
    return {name: point.cvalue for name, point in model.points.items()}

def one(number):
    model = device.models[number][0]
    model.read()
    return told(model)

said = {"base": device.base_addr, "ids": [model.model_id for model in models]}
said["errors"] = [model.error_info for model in models if model.error_info]
said["models"] = {model.model_id: told(model) for model in models}
said["strings"] = [told(module) for module in device.models[160][0].module]

der, old = device.models[704][0], device.models[123][0]
der.WMaxLimPct.cvalue, der.WMaxLimPctRvrtTms.cvalue = 20.0, 300
der.write()
der.WMaxLimPctEna.cvalue = 1
der.write()
said["704 written"], said["123 follows"] = one(704), one(123)
time.sleep(float(sys.argv[2]))
said["limited"] = one(701)
old.read()
old.WMaxLimPct.cvalue, old.WMaxLimPct_RvrtTms.cvalue, old.WMaxLim_Ena.cvalue = 15.0, 60, 1
old.write()
said["123 written"], said["704 follows"] = one(123), one(704)
time.sleep(float(sys.argv[2]))
said["limited more"] = one(701)
try:
    capacity = device.models[702][0]
    capacity.WMax.cvalue = 1000
    capacity.write()
    said["refusal"] = None
except Exception as error:
    said["refusal"] = str(error)
old.WMaxLim_Ena.cvalue = 0
old.write()
said["released"] = one(704)
device.close()
print(json.dumps(said))
"""

PY20305 = """
import asyncio, json, sys
from py20305.connectors.sunspec import ConnectorSunSpec

async def main():
    der = ConnectorSunSpec(host="127.0.0.1", port=int(sys.argv[1]), unit_id=1)
    said = {"nameplate": await der.fetch_nameplate(), "status": await der.fetch_status()}
    said["configuration"] = await der.fetch_configuration()
    said["before"] = await der.fetch_monitoring()
    await der.update_p_lim({"p_lim_mode_enable": 1, "p_lim_w": 10.0})
    await asyncio.sleep(float(sys.argv[2]))
    said["limited"] = await der.fetch_monitoring()
    await der.update_p_lim({"p_lim_mode_enable": 0})
    await der.update_gen_lim({"gen_lim_mode_enable": 1, "gen_lim_w": 3000.0})
    await asyncio.sleep(float(sys.argv[2]))
    said["generation limited"] = await der.fetch_monitoring()
    await der.update_gen_lim({"gen_lim_mode_enable": 0})
    await der.update_p_lim({"p_lim_mode_enable": 1, "p_lim_w": 0.0})
    await asyncio.sleep(float(sys.argv[2]))
    meter = ConnectorSunSpec(host="127.0.0.1", port=int(sys.argv[1]), unit_id=1, role="site_meter")
    for _ in range(10):  # it learns from the counters which sign is import, and says nothing before
        said["meter"] = await meter.fetch_monitoring()
        await asyncio.sleep(2.0)
    said["nothing given"] = await der.fetch_monitoring()
    await der.update_p_lim({"p_lim_mode_enable": 0})
    print(json.dumps(said, default=str))

asyncio.run(main())
"""
