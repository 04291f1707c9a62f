import { connectionsOf } from '../connect/connections.ts';
import { InngestError } from '../errors.ts';
import type { RouteContext } from '../http.ts';
import { appIdOf } from '../registration.ts';

/** GET /v0/connect/envs/:env/conns, optionally `?app_id=`: who is connected at this moment. Groups are by the app's id (inngest/inngest: tests/golang/connect_test.go). */
export async function listConnections(c: RouteContext): Promise<Response> {
  const wanted = c.req.query('app_id');
  const data: object[] = [];
  for (const { apps, view } of await connectionsOf(c)) {
    const entries = Object.entries(apps).map(async ([app, { group }]) => [await appIdOf(app), group] as const);
    const groups = Object.fromEntries(await Promise.all(entries));
    if (wanted === undefined || wanted === '' || wanted in groups)
      data.push({ ...view, all_worker_groups: groups, synced_worker_groups: groups });
  }
  return c.json({ data });
}

/** GET /v0/connect/envs/:env/groups/:hash: the workers of one app at one version. */
export async function getWorkerGroup(c: RouteContext): Promise<Response> {
  const hash = c.req.param('hash') ?? '';
  const connections = await connectionsOf(c);
  const members = connections.filter(({ apps }) => Object.values(apps).some(({ group }) => group === hash));
  const [app, group] =
    members.flatMap(({ apps }) => Object.entries(apps)).find(([, entry]) => entry.group === hash) ?? [];
  if (app === undefined || group === undefined)
    throw new InngestError(404, 'not_found', 'No worker of this group is connected.');
  const synced = { app_id: await appIdOf(app), app_name: app, hash, sync_id: group.sync, synced: true };
  return c.json({ data: { ...synced, conns: members.map(({ view }) => view.id) } });
}
