import type { Command } from '../../../core/model/command.ts';
import type { LimitRecord, StoredRecord } from '../../../core/model/query.ts';
import { COLLECTION, flowLimitKey, MAX_PARALLELISM } from '../constants.ts';
import { json, notFound, unserved } from '../errors.ts';
import type { FlowControl } from '../options.ts';
import type { Route } from '../route.ts';

type FlowData = Omit<FlowControl, 'key'>;

export async function getFlowControl(route: Route): Promise<Response> {
  const key = route.param('key');
  const [record, limits] = await Promise.all([
    route.ask({ type: 'record', collection: COLLECTION.flow, id: key }),
    route.ask({ type: 'limits', prefix: flowLimitKey(key) }),
  ]);
  if (!record) throw notFound(`flow control ${key}`);
  return json(flowView(record, limits));
}

export async function listFlowControls(route: Route): Promise<Response> {
  const search = route.query().get('search') ?? '';
  const [page, limits] = await Promise.all([
    route.ask({ type: 'records', collection: COLLECTION.flow, order: 'asc', limit: 1_000 }),
    route.ask({ type: 'limits', prefix: flowLimitKey('') }),
  ]);
  return json(page.items.filter(({ id }) => id.includes(search)).map((record) => flowView(record, limits)));
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

export function unservedFlowControl(): Promise<Response> {
  throw unserved('qstash-flow-control-pin', 'pinning and resetting a flow-control key is not served yet');
}

function flowView(record: StoredRecord, limits: LimitRecord[]): Record<string, unknown> {
  const flow = JSON.parse(record.data) as FlowData;
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
    isPinnedParallelism: false,
    isPinnedRate: false,
  };
}
