import type { Command } from '../../../core/model/command.ts';
import type { LimitRecord, StoredRecord } from '../../../core/model/query.ts';
import { COLLECTION, flowLimitKey, MAX_FLOW_PERIOD_MS, MAX_PARALLELISM } from '../constants.ts';
import { json, notFound, unserved, WireError } from '../errors.ts';
import { duration, type FlowControl, resourceName } from '../options.ts';
import type { Route } from '../route.ts';

type FlowData = Omit<FlowControl, 'key'>;

export async function getFlowControl(route: Route): Promise<Response> {
  const key = route.param('key');
  const [record, limits] = await Promise.all([
    route.ask({ type: 'record', collection: COLLECTION.flow, id: key }),
    route.ask({ type: 'limits', prefix: flowLimitKey(key) }),
  ]);
  if (!record) throw notFound(`flow control ${key}`);
  return json(flowView(record, limits, await pinOf(route, key)));
}

export async function listFlowControls(route: Route): Promise<Response> {
  const search = route.query().get('search') ?? '';
  const [page, limits, pins] = await Promise.all([
    route.ask({ type: 'records', collection: COLLECTION.flow, order: 'asc', limit: 1_000 }),
    route.ask({ type: 'limits', prefix: flowLimitKey('') }),
    route.ask({ type: 'records', collection: COLLECTION.pin, order: 'asc', limit: 1_000 }),
  ]);
  const pinOfKey = new Map(pins.items.map(({ id, data }) => [id, JSON.parse(data) as FlowData]));
  return json(
    page.items
      .filter(({ id }) => id.includes(search))
      .map((record) => flowView(record, limits, pinOfKey.get(record.id) ?? {})),
  );
}

export function pauseFlowControl(paused: boolean) {
  return async (route: Route): Promise<Response> => {
    const key = route.param('key');
    const record = await route.ask({ type: 'record', collection: COLLECTION.flow, id: key });
    if (!record) throw notFound(`flow control ${key}`);
    const { parallelism } = JSON.parse(record.data) as FlowData;
    const limits = await route.ask({ type: 'limits', prefix: flowLimitKey(key) });
    const before = limits.find((limit) => limit.key === flowLimitKey(key));
    const command: Command = {
      type: 'set-limit',
      limit: { key: flowLimitKey(key), max: before?.max ?? parallelism ?? MAX_PARALLELISM, hold: 'call' },
      paused,
    };
    await route.apply([command]);
    return json({});
  };
}

export async function globalParallelism(route: Route): Promise<Response> {
  const stats = await route.ask({ type: 'stats' });
  return json({ parallelismMax: MAX_PARALLELISM, parallelismCount: stats.inFlight });
}

/** While pinned, what messages say about the key is stored but does not count. Each side is pinned by itself. */
export async function pinFlowControl(route: Route): Promise<Response> {
  const key = resourceName('flow control key', route.param('key'));
  const query = route.query();
  const before = await pinOf(route, key);
  const parallelism = numberOf(query, 'parallelism');
  const rate = numberOf(query, 'rate');
  const period = query.get('period');
  const pin: FlowData = {
    ...before,
    ...(parallelism === undefined ? {} : { parallelism }),
    ...(rate === undefined
      ? {}
      : { rate, periodMs: period === null ? 1000 : duration('period', period, MAX_FLOW_PERIOD_MS) }),
  };
  if (parallelism === undefined && rate === undefined)
    throw new WireError(400, 'invalid query: give at least one of parallelism and rate');
  const commands: Command[] = [{ type: 'put-record', collection: COLLECTION.pin, id: key, data: JSON.stringify(pin) }];
  const seen = JSON.stringify(pin);
  commands.push({ type: 'put-record', collection: COLLECTION.flow, id: key, data: seen, ifAbsent: true });
  if (pin.parallelism !== undefined) commands.push(setLimit(key, pin.parallelism, true));
  await route.apply(commands);
  return json({});
}

export async function unpinFlowControl(route: Route): Promise<Response> {
  const key = route.param('key');
  const query = route.query();
  const [pin, record] = await Promise.all([
    pinOf(route, key),
    route.ask({ type: 'record', collection: COLLECTION.flow, id: key }),
  ]);
  if (!record) throw notFound(`flow control ${key}`);
  const commands: Command[] = [];
  if (query.get('rate') === 'true') {
    delete pin.rate;
    delete pin.periodMs;
  }
  if (query.get('parallelism') === 'true' && pin.parallelism !== undefined) {
    delete pin.parallelism;
    const { parallelism } = JSON.parse(record.data) as FlowData;
    commands.push(setLimit(key, parallelism ?? MAX_PARALLELISM, false));
  }
  commands.push({ type: 'put-record', collection: COLLECTION.pin, id: key, data: JSON.stringify(pin) });
  await route.apply(commands);
  return json({});
}

function setLimit(key: string, max: number, pinned: boolean): Command {
  return { type: 'set-limit', limit: { key: flowLimitKey(key), max, hold: 'call' }, pinned };
}

async function pinOf(route: Route, key: string): Promise<FlowData> {
  const record = await route.ask({ type: 'record', collection: COLLECTION.pin, id: key });
  return record ? (JSON.parse(record.data) as FlowData) : {};
}

function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1)
    throw new WireError(
      400,
      `invalid query parameter ${name}: ${JSON.stringify(text)} is not a whole number of at least 1`,
    );
  return number;
}

export function resetFlowControl(): Promise<Response> {
  throw unserved('qstash-flow-control-reset', 'resetting the rate of a flow-control key is not served yet');
}

function flowView(record: StoredRecord, limits: LimitRecord[], pin: FlowData): Record<string, unknown> {
  const flow = { ...(JSON.parse(record.data) as FlowData), ...pin };
  const limit = limits.find(({ key }) => key === flowLimitKey(record.id));
  return {
    flowControlKey: record.id,
    waitListSize: limit?.waiting ?? 0,
    parallelismMax: flow.parallelism ?? 0,
    parallelismCount: limit?.held ?? 0,
    rateMax: flow.rate ?? 0,
    rateCount: 0,
    ratePeriod: flow.rate === undefined ? 0 : Math.round((flow.periodMs ?? 1000) / 1000),
    ratePeriodStart: Math.floor(record.updatedAt / 1000),
    isPaused: limit?.paused ?? false,
    isPinnedParallelism: pin.parallelism !== undefined,
    isPinnedRate: pin.rate !== undefined,
  };
}
