// A charge point made of the npm package ocpp-ts: a car that charges with what it is allowed.
// Arguments: the address without the id, and the id. Says each thing that it is told, one line of JSON each.
const { OcppClient } = require('ocpp-ts');

const [address, id] = process.argv.slice(2);
const client = new OcppClient(id);
const say = (what, more) => process.stdout.write(JSON.stringify({ what, ...more }) + '\n');
const now = () => new Date().toISOString();
const profiles = new Map();
let transaction = null;
let meterWh = 5000;

function allowedA() {
  const best = {};
  for (const one of profiles.values()) {
    const schedule = one.chargingSchedule;
    const end = schedule.duration ? Date.parse(schedule.startSchedule) + schedule.duration * 1000 : Infinity;
    if (Date.now() > end) continue;
    const purpose = one.chargingProfilePurpose;
    const limit = schedule.chargingSchedulePeriod[0].limit;
    if (!best[purpose] || one.stackLevel > best[purpose].stack) best[purpose] = { stack: one.stackLevel, limit };
  }
  return (best.TxProfile || best.TxDefaultProfile || { limit: 16 }).limit;
}

async function tellMeter() {
  const powerW = transaction === null || allowedA() < 6 ? 0 : allowedA() * 3 * 230;
  meterWh += powerW / 3600 / 5;
  await client.callRequest('MeterValues', {
    connectorId: 1,
    transactionId: transaction === null ? undefined : transaction,
    meterValue: [{
      timestamp: now(),
      sampledValue: [
        { value: String(Math.round(powerW)), measurand: 'Power.Active.Import', unit: 'W' },
        { value: String(meterWh), measurand: 'Energy.Active.Import.Register', unit: 'Wh' },
      ],
    }],
  });
}

const status = (word) => client.callRequest('StatusNotification', {
  connectorId: 1, errorCode: 'NoError', status: word, timestamp: now(),
});

client.on('GetConfiguration', (request, answer) => answer({
  configurationKey: [{ key: 'NumberOfConnectors', readonly: true, value: '1' }],
  unknownKey: ['ChargingScheduleAllowedChargingRateUnit'],
}));
client.on('ChangeConfiguration', (request, answer) => {
  say('ChangeConfiguration', { key: request.key, value: request.value });
  answer({ status: 'Accepted' });
});
client.on('SetChargingProfile', (request, answer) => {
  profiles.set(request.csChargingProfiles.chargingProfileId, request.csChargingProfiles);
  say('SetChargingProfile', { profile: request.csChargingProfiles });
  answer({ status: 'Accepted' });
});
client.on('TriggerMessage', (request, answer) => answer({ status: 'NotImplemented' }));
client.on('error', (error) => say('error', { error: error.message }));
client.on('close', () => process.exit(0));
client.on('connect', async () => {
  const boot = await client.callRequest('BootNotification', {
    chargePointVendor: 'Lichtbogen', chargePointModel: 'Saeule', chargePointSerialNumber: 'L-1',
  });
  say('BootNotification', { status: boot.status });
  await status('Preparing');
  const stranger = await client.callRequest('Authorize', { idTag: 'STRANGER' });
  say('Authorize', { status: stranger.idTagInfo.status });
  const begun = await client.callRequest('StartTransaction', {
    connectorId: 1, idTag: 'CARD', meterStart: Math.round(meterWh), timestamp: now(),
  });
  transaction = begun.transactionId;
  say('StartTransaction', { status: begun.idTagInfo.status });
  await status('Charging');
  setInterval(tellMeter, 200);
});
client.connect(address);
