import type { AppRecord } from '../apps.ts';
import { findApp } from '../apps.ts';
import type { Connection } from '../connect/connections.ts';
import { idTimeMs } from '../ids.ts';
import { appIdOf } from '../registration.ts';
import type { Reader } from './reader.ts';
import { time } from './reader.ts';
import { appView } from './views.ts';

interface ConnectionsArgs {
  first: number;
  after?: string | null;
  orderBy: Array<{ field: string; direction: 'ASC' | 'DESC' }>;
  filter: {
    from?: string | null;
    until?: string | null;
    status?: string[] | null;
    appIDs?: string[] | null;
  };
}

interface Line {
  /** Of the connection and the app: what a page goes on after. */
  cursor: string;
  connectedAt: number;
  status: string;
  appID: string;
  group: string;
  sync: string;
  app: AppRecord | null;
  connection: Connection;
}

const STATUS = { connected: 'CONNECTED', ready: 'READY', draining: 'DRAINING' } as const;
/** A gateway has a few hundred workers. */
const MAX_FIRST = 400;

/** `workerConnections`: one line for each app of a worker that is connected now. Of those that have left nothing is kept. */
export async function listConnections(
  reader: Reader,
  connections: Connection[],
  args: ConnectionsArgs,
): Promise<object> {
  const { filter } = args;
  const all = (await linesOf(reader, connections)).filter(
    (line) =>
      (!filter.status?.length || filter.status.includes(line.status)) &&
      (!filter.appIDs?.length || filter.appIDs.includes(line.appID)) &&
      (!filter.from || line.connectedAt >= Date.parse(filter.from)) &&
      (!filter.until || line.connectedAt <= Date.parse(filter.until)),
  );
  const { field, direction } = args.orderBy[0] ?? { field: 'CONNECTED_AT', direction: 'DESC' };
  const at = (line: Line): number =>
    field === 'LAST_HEARTBEAT_AT' ? line.connection.lastHeartbeatMs : line.connectedAt;
  all.sort((a, b) => (at(a) - at(b) || (a.cursor < b.cursor ? -1 : 1)) * (direction === 'ASC' ? 1 : -1));
  const start = args.after ? all.findIndex(({ cursor }) => cursor === args.after) + 1 : 0;
  const page = all.slice(start, start + Math.min(Math.max(args.first, 1), MAX_FIRST));
  return {
    edges: page.map((line) => ({ cursor: line.cursor, node: lineView(reader, line) })),
    pageInfo: {
      hasNextPage: start + page.length < all.length,
      hasPreviousPage: start > 0,
      startCursor: page[0]?.cursor ?? null,
      endCursor: page.at(-1)?.cursor ?? null,
    },
    totalCount: all.length,
  };
}

/** `workerConnection`; null: no such worker is connected. */
export async function findConnection(reader: Reader, connections: Connection[], id: string): Promise<object | null> {
  const [line] = await linesOf(
    reader,
    connections.filter(({ view }) => view.id === id),
  );
  return line ? lineView(reader, line) : null;
}

function linesOf(reader: Reader, connections: Connection[]): Promise<Line[]> {
  const lines = connections.flatMap((connection) =>
    Object.entries(connection.apps).map(async ([app, { group, sync }]): Promise<Line> => {
      reader.spend(1);
      return {
        cursor: `${connection.view.id} ${app}`,
        connectedAt: idTimeMs(connection.view.id),
        status: STATUS[connection.state],
        appID: await appIdOf(app),
        group,
        sync,
        app: await findApp(reader.cell, app),
        connection,
      };
    }),
  );
  return Promise.all(lines);
}

function lineView(reader: Reader, { connectedAt, status, appID, group, sync, app, connection }: Line): object {
  const { view } = connection;
  return {
    id: view.id,
    gatewayId: view.gateway_id,
    instanceId: view.instance_id,
    workerIp: '',
    maxWorkerConcurrency: connection.maxConcurrency,
    appName: app?.name ?? null,
    appID,
    app: app && appView(reader, app),
    connectedAt: time(connectedAt),
    lastHeartbeatAt: time(connection.lastHeartbeatMs),
    disconnectedAt: null,
    disconnectReason: null,
    status,
    groupHash: group,
    sdkLang: view.sdk_language,
    sdkVersion: view.sdk_version,
    sdkPlatform: '',
    syncId: sync,
    buildId: app?.appVersion ?? null,
    appVersion: app?.appVersion ?? null,
    functionCount: async () => (await reader.functions()).filter(({ fn }) => fn.appId === appID).length,
    cpuCores: view.attributes.cpu_cores,
    memBytes: view.attributes.mem_bytes,
    os: view.attributes.os,
  };
}
