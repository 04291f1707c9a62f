import { allApps } from '../apps.ts';
import { InngestError } from '../errors.ts';
import { cellOf } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { removeApp } from '../remove.ts';

/** DELETE /fn/remove?url=: takes the app at this URL away. */
export async function removeAppByUrl(c: RouteContext): Promise<Response> {
  const url = c.req.query('url') ?? '';
  if (url === '') throw new InngestError(400, 'invalid_request', 'url is missing.');
  const apps = (await allApps(cellOf(c))).filter((app) => app.url === url);
  if (apps.length === 0) throw new InngestError(404, 'unknown-app', `No app has registered with the URL "${url}".`);
  for (const app of apps) await removeApp(cellOf(c), app);
  return c.json({ status: 200, ok: true });
}
