import * as z from 'zod';
import { connectionsOf } from '../connect/connections.ts';
import { InngestError } from '../errors.ts';
import { cellOf, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { explain } from '../schema.ts';
import { SharedReads } from '../shared-reads.ts';
import { syncUrl } from '../sync.ts';

const MAX_BODY_BYTES = 1_048_576;

const QuerySchema = z.looseObject({
  query: z.string().min(1).max(200_000),
  variables: z.record(z.string(), z.unknown()).nullish(),
  operationName: z.string().max(256).nullish(),
});

/** POST and GET /v0/gql: what people's tests and tools ask the dev server. The library is read when the first query comes. */
export async function graphql(c: RouteContext): Promise<Response> {
  const raw = c.req.method === 'GET' ? fromQuery(c) : await readJson(c, MAX_BODY_BYTES);
  const parsed = QuerySchema.safeParse(raw);
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `The query is invalid: ${explain(parsed.error)}.`);
  const [{ answerGraphql }, { Reader }] = await Promise.all([
    import('../graphql/answer.ts'),
    import('../graphql/reader.ts'),
  ]);
  const { context } = c.var.host;
  const answer = await answerGraphql(new Reader(new SharedReads(cellOf(c))), parsed.data, {
    nowMs: context.wallClockMs(),
    connections: () => connectionsOf(c),
    sync: async (url) => {
      const { app } = await syncUrl(cellOf(c), context, url, null);
      if (app === null) throw new InngestError(422, 'app_refused', `The app at ${url} registered under another URL.`);
      return app;
    },
  });
  return c.json(answer);
}

function fromQuery(c: RouteContext): unknown {
  const { query, variables, operationName } = c.req.query();
  if (query === undefined)
    throw new InngestError(400, 'invalid_request', 'Send a GraphQL query: POST {"query": "...", "variables": {}}.');
  return { query, operationName, variables: variables === undefined ? undefined : parse(variables) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InngestError(400, 'invalid_request', 'variables is not valid JSON.');
  }
}
