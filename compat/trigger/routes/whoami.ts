import { open, type RouteContext } from '../request.ts';

/** GET /api/v2/whoami */
export async function whoami(c: RouteContext): Promise<Response> {
  await open(c, ['personal', 'secret']);
  return c.json({ userId: 'user_repoint', email: 'dev@repoint.local', dashboardUrl: c.get('host').context.serverUrl });
}
