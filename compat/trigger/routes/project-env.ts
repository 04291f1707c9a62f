import { secretKeyFor } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { open, param, projectParam, type RouteContext } from '../request.ts';

/** GET /api/v1/projects/:project/:env — the key and address that a worker uses from here on. */
export async function projectEnv(c: RouteContext): Promise<Response> {
  await open(c, ['personal', 'secret']);
  const project = projectParam(c);
  const env = param(c, 'env');
  const { context } = c.get('host');
  const apiKey = secretKeyFor(project, context, kindOf(env));
  if (apiKey === '')
    throw new ApiError('invalid', 'The server has no secret key for workers: start it with TRIGGER_SECRET_KEY');
  return c.json({ apiKey, name: project, apiUrl: context.serverUrl, projectId: project });
}

/** Any of a project's environments by name: which one is meant, the key of the request says; this is its kind. */
function kindOf(env: string): 'dev' | 'prod' | 'stg' | 'preview' {
  if (env === 'stg' || env === 'staging') return 'stg';
  return env === 'prod' || env === 'preview' ? env : 'dev';
}
