import { UNBOUNDED } from '../../../core/model/limit.ts';
import type { LimitRecord } from '../../../core/model/query.ts';
import { COLLECTION, flowLimitKey, MAX_FLOW_PERIOD_MS, MAX_PARALLELISM } from '../constants.ts';
import { json, notFound, WireError } from '../errors.ts';
import { DEFAULT_FLOW_PERIOD_MS, flowRate } from '../limits.ts';
import { duration, type FlowControl, resourceName } from '../options.ts';
import type { Route } from '../route.ts';

/** What the key's last message said. */
type FlowData = Omit<FlowControl, 'key'>;

interface Known {
  data: FlowData;
  updatedAt: number;
  limit: LimitRecord;
}

export async function getFlowControl(route: Route): Promise<Response> {
  const key = route.param('key');
  return json(flowView(key, await require(route, key)));
}

export async function listFlowControls(route: Route): Promise<Response> {
  const search = route.query().get('search') ?? '';
  const prefix = flowLimitKey('');
  const [page, limits, now] = await Promise.all([
    route.ask({ type: 'records', collection: COLLECTION.flow, order: 'asc', limit: 1_000 }),
    route.ask({ type: 'limits', prefix }),
    route.now(),
  ]);
  const records = new Map(page.items.map((record) => [record.id, record]));
  const inUse = new Map(limits.map((limit) => [limit.key.slice(prefix.length), limit]));
  const keys = [...new Set([...records.keys(), ...inUse.keys()])].filter((key) => key.includes(search)).sort();
  return json(
    await Promise.all(
      keys.slice(0, 1_000).map(async (key) => {
        const record = records.get(key);
        const data = record ? (JSON.parse(record.data) as FlowData) : {};
        // What nobody uses now may have a rate that counts still.
        const limit = inUse.get(key) ?? (await limitOf(route, key, data));
        return flowView(key, { data, updatedAt: record?.updatedAt ?? now, limit });
      }),
    ),
  );
}

export function pauseFlowControl(paused: boolean) {
  return async (route: Route): Promise<Response> => {
    const key = route.param('key');
    await require(route, key);
    await route.apply([{ type: 'set-limit', key: flowLimitKey(key), paused }]);
    return json({});
  };
}

/** How many deliveries of everything may be under way at once here, and how many are. */
export async function globalParallelism(route: Route): Promise<Response> {
  const { maxInFlight, inFlight } = await route.ask({ type: 'stats' });
  return json({ parallelismMax: maxInFlight, parallelismCount: inFlight });
}

/** While pinned, what messages say about the key does not count. Each side is pinned by itself; the rate begins anew. */
export async function pinFlowControl(route: Route): Promise<Response> {
  const key = resourceName('flow control key', route.param('key'));
  const query = route.query();
  const max = numberOf(query, 'parallelism', MAX_PARALLELISM);
  const rate = flowRate({ rate: numberOf(query, 'rate'), periodMs: periodOf(query) });
  if (max === undefined && rate === undefined)
    throw new WireError(400, 'invalid query: give at least one of parallelism and rate');
  await route.apply([
    {
      type: 'set-limit',
      key: flowLimitKey(key),
      ...(max === undefined ? {} : { max }),
      ...(rate === undefined ? {} : { rate }),
      resetRate: true,
    },
  ]);
  return json({});
}

export async function unpinFlowControl(route: Route): Promise<Response> {
  const key = route.param('key');
  const query = route.query();
  await require(route, key);
  await route.apply([
    {
      type: 'set-limit',
      key: flowLimitKey(key),
      ...(query.get('parallelism') === 'true' ? { max: null } : {}),
      ...(query.get('rate') === 'true' ? { rate: null } : {}),
    },
  ]);
  return json({});
}

/** The rate's count and its period begin anew. */
export async function resetFlowControl(route: Route): Promise<Response> {
  const key = route.param('key');
  await require(route, key);
  await route.apply([{ type: 'set-limit', key: flowLimitKey(key), resetRate: true }]);
  return json({});
}

async function limitOf(route: Route, key: string, data: FlowData): Promise<LimitRecord> {
  const rate = flowRate(data);
  return route.ask({ type: 'limit', key: flowLimitKey(key), ...(rate ? { rate } : {}) });
}

/** A key is known by its messages, by what waits or is under way, or by what was set for it. */
async function require(route: Route, key: string): Promise<Known> {
  const record = await route.ask({ type: 'record', collection: COLLECTION.flow, id: key });
  const data = record ? (JSON.parse(record.data) as FlowData) : {};
  const limit = await limitOf(route, key, data);
  if (!record && limit.max === null && limit.waiting === 0 && !limit.paused && limit.set.rate === undefined)
    throw notFound(`flow control ${key}`);
  return { data, updatedAt: record?.updatedAt ?? (await route.now()), limit };
}

/** The client sends seconds as a number, the documentation shows durations. */
function periodOf(query: URLSearchParams): number {
  const text = query.get('period');
  if (text === null) return DEFAULT_FLOW_PERIOD_MS;
  return duration('period', /^\d+$/.test(text) ? `${text}s` : text, MAX_FLOW_PERIOD_MS);
}

function numberOf(query: URLSearchParams, name: string, most = 1_000_000): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > most)
    throw new WireError(
      400,
      `invalid query parameter ${name}: ${JSON.stringify(text)} is not a whole number from 1 to ${most}`,
    );
  return number;
}

function flowView(key: string, { data, updatedAt, limit }: Known): Record<string, unknown> {
  const max = limit.set.max ?? data.parallelism ?? limit.max ?? UNBOUNDED;
  const rate = limit.set.rate ?? flowRate(data) ?? limit.rate;
  return {
    flowControlKey: key,
    waitListSize: limit.waiting,
    parallelismMax: max === UNBOUNDED ? 0 : max,
    parallelismCount: limit.held,
    rateMax: rate?.max ?? 0,
    rateCount: rate ? limit.used : 0,
    ratePeriod: rate ? Math.round(rate.periodMs / 1000) : 0,
    ratePeriodStart: Math.floor((limit.usedSinceMs ?? updatedAt) / 1000),
    isPaused: limit.paused,
    isPinnedParallelism: limit.set.max !== undefined,
    isPinnedRate: limit.set.rate !== undefined,
  };
}
