import { askGateway } from '../connect/ask.ts';
import { InngestError } from '../errors.ts';
import type { RouteContext } from '../http.ts';
import { appIdOf } from '../registration.ts';

interface Connection {
  apps: Record<string, { group: string; sync: string }>;
  view: { id: string };
}

/** GET /v0/connect/envs/:env/conns, optionally `?app_id=`: who is connected at this moment. */
export async function listConnections(c: RouteContext): Promise<Response> {
  const wanted = c.req.query('app_id');
  const connections = await askGateway<Connection[]>(c, { type: 'connections' });
  const data: object[] = [];
  for (const { apps, view } of connections) {
    const ids = await Promise.all(Object.keys(apps).map(appIdOf));
    if (wanted === undefined || wanted === '' || ids.includes(wanted)) data.push(view);
  }
  return c.json({ data });
}

/** GET /v0/connect/envs/:env/groups/:hash: the workers of one app at one version. */
export async function getWorkerGroup(c: RouteContext): Promise<Response> {
  const hash = c.req.param('hash') ?? '';
  const connections = await askGateway<Connection[]>(c, { type: 'connections' });
  const members = connections.filter(({ apps }) => Object.values(apps).some(({ group }) => group === hash));
  const [app, group] =
    members.flatMap(({ apps }) => Object.entries(apps)).find(([, entry]) => entry.group === hash) ?? [];
  if (app === undefined || group === undefined)
    throw new InngestError(404, 'not_found', 'No worker of this group is connected.');
  const synced = { app_id: await appIdOf(app), app_name: app, hash, sync_id: group.sync, synced: true };
  return c.json({ data: { ...synced, conns: members.map(({ view }) => view.id) } });
}
