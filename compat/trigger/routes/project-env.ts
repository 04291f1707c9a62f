import { secretKeyFor } from '../auth.ts';
import { ApiError, notServed } from '../errors.ts';
import { open, param, projectParam, type RouteContext } from '../request.ts';

/** GET /api/v1/projects/:project/:env — the key and address that a worker uses from here on. */
export async function projectEnv(c: RouteContext): Promise<Response> {
  await open(c, ['personal', 'secret']);
  const project = projectParam(c);
  const env = param(c, 'env');
  if (env !== 'dev') throw notServed(`The environment "${env}"`);
  const { context } = c.get('host');
  const apiKey = secretKeyFor(project, context);
  if (apiKey === '')
    throw new ApiError('invalid', 'The server has no secret key for workers: start it with TRIGGER_SECRET_KEY');
  return c.json({ apiKey, name: project, apiUrl: context.serverUrl, projectId: project });
}
