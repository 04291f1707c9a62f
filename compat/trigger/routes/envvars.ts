import * as z from 'zod';
import { ApiError } from '../errors.ts';
import { open, param, projectParam, readBody, type RouteContext } from '../request.ts';
import { CreateVariableBodySchema, MAX_SMALL_BODY_BYTES, UpdateVariableBodySchema } from '../schema.ts';
import { listVariables, readVariables, variablesCollection } from '../variables.ts';

const REDACTED = '<redacted>';

/** GET /api/v1/projects/:project/envvars — what a worker gives its task processes. */
export async function workerVariables(c: RouteContext): Promise<Response> {
  const { cell } = await open(c, ['secret', 'personal']);
  return c.json({ variables: await readVariables(cell, projectParam(c), 'dev') });
}

/** GET /api/v1/projects/:project/envvars/:env */
export async function listEnvvars(c: RouteContext): Promise<Response> {
  const { cell } = await open(c, ['secret', 'personal']);
  const variables = await listVariables(cell, projectParam(c), param(c, 'env'));
  return c.json(variables.map((variable) => (variable.isSecret ? { ...variable, value: REDACTED } : variable)));
}

/** POST /api/v1/projects/:project/envvars/:env */
export async function createEnvvar(c: RouteContext): Promise<Response> {
  const { cell } = await open(c, ['secret', 'personal']);
  const { name, value, isSecret = false } = await readBody(c, CreateVariableBodySchema, MAX_SMALL_BODY_BYTES);
  const [put] = await cell.apply([
    {
      type: 'put-record',
      collection: variablesCollection(projectParam(c), param(c, 'env')),
      id: name,
      data: JSON.stringify({ value, isSecret }),
      ifAbsent: true,
    },
  ]);
  if (put?.type === 'put-record' && !put.written)
    throw new ApiError('invalid', `Environment variable ${name} already exists`);
  return c.json({ success: true });
}

const ImportSchema = z.object({
  variables: z.record(z.string().min(1).max(256), z.string().max(65_536)),
  override: z.boolean().optional(),
  isSecret: z.boolean().optional(),
});

/** POST /api/v1/projects/:project/envvars/:env/import */
export async function importEnvvars(c: RouteContext): Promise<Response> {
  const { cell } = await open(c, ['secret', 'personal']);
  const { variables, override = false, isSecret = false } = await readBody(c, ImportSchema, MAX_SMALL_BODY_BYTES);
  const collection = variablesCollection(projectParam(c), param(c, 'env'));
  await cell.apply(
    Object.entries(variables).map(([id, value]) => ({
      type: 'put-record' as const,
      collection,
      id,
      data: JSON.stringify({ value, isSecret }),
      ...(override ? {} : { ifAbsent: true }),
    })),
  );
  return c.json({ success: true });
}

/** GET /api/v1/projects/:project/envvars/:env/:name */
export async function retrieveEnvvar(c: RouteContext): Promise<Response> {
  const { cell } = await open(c, ['secret', 'personal']);
  const variables = await listVariables(cell, projectParam(c), param(c, 'env'));
  const variable = variables.find(({ name }) => name === param(c, 'name'));
  if (!variable) throw new ApiError('not_found', 'Environment variable not found');
  return c.json(variable.isSecret ? { ...variable, value: REDACTED } : variable);
}

/** PUT /api/v1/projects/:project/envvars/:env/:name */
export async function updateEnvvar(c: RouteContext): Promise<Response> {
  const { cell } = await open(c, ['secret', 'personal']);
  const { value } = await readBody(c, UpdateVariableBodySchema, MAX_SMALL_BODY_BYTES);
  const project = projectParam(c);
  const known = (await listVariables(cell, project, param(c, 'env'))).find(({ name }) => name === param(c, 'name'));
  if (!known) throw new ApiError('not_found', 'Environment variable not found');
  await cell.apply([
    {
      type: 'put-record',
      collection: variablesCollection(project, param(c, 'env')),
      id: known.name,
      data: JSON.stringify({ value, isSecret: known.isSecret }),
    },
  ]);
  return c.json({ success: true });
}

/** DELETE /api/v1/projects/:project/envvars/:env/:name */
export async function deleteEnvvar(c: RouteContext): Promise<Response> {
  const { cell } = await open(c, ['secret', 'personal']);
  const [result] = await cell.apply([
    { type: 'delete-record', collection: variablesCollection(projectParam(c), param(c, 'env')), id: param(c, 'name') },
  ]);
  if (result?.type === 'delete-record' && !result.found)
    throw new ApiError('not_found', 'Environment variable not found');
  return c.json({ success: true });
}
