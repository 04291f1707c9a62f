import {
  buildSchema,
  execute,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  validate,
  VariablesInAllowedPositionRule,
} from 'graphql';
import type { DocumentNode, GraphQLResolveInfo, GraphQLSchema } from 'graphql';
import type { RunRecord } from '../../../core/model/query.ts';
import { invokeFunction, rerunRun } from '../actions.ts';
import { allApps, findApp, pickFunction } from '../apps.ts';
import { InngestError } from '../errors.ts';
import { derivedUlid, idTimeMs } from '../ids.ts';
import { groupOf } from '../names.ts';
import { removeApp } from '../remove.ts';
import { batchIdOf, originEvents } from '../read.ts';
import { outputOf, traceOfRun } from '../run-view.ts';
import type { Connection } from '../connect/connections.ts';
import { findConnection, listConnections } from './connections.ts';
import { listEvents, listRuns } from './lists.ts';
import { SCHEMA } from './schema.ts';
import { isSelected } from './selection.ts';
import { time } from './reader.ts';
import type { Reader } from './reader.ts';
import { appView, eventV2View, eventView, functionView, runV2View, runView, spanView } from './views.ts';

/** A query's text in tokens, and its nesting: the vendor's own queries have a few hundred and about ten. */
const MAX_TOKENS = 3_000;
const MAX_DEPTH = 20;
const MAX_STREAM = 100;

export interface GraphqlRequest {
  query: string;
  variables?: Record<string, unknown> | null | undefined;
  operationName?: string | null | undefined;
}

export interface GraphqlHost {
  nowMs: number;
  /** Asks the app at this URL for its functions; answers the app's name. */
  sync(url: string): Promise<string>;
  /** The workers that are connected now. */
  connections(): Promise<Connection[]>;
}

/** Queries that were read and checked, newest last: pages and tests ask with the same few texts, and checking is a good part of an answer's time. */
const MAX_DOCUMENTS = 64;
const MAX_KEPT_CHARS = 10_000;

interface Checked {
  document: DocumentNode;
}

let schema: GraphQLSchema | null = null;
const documents = new Map<string, Checked>();

/** Answers one query. The result is always an answer of GraphQL, errors included. */
export async function answerGraphql(reader: Reader, request: GraphqlRequest, host: GraphqlHost): Promise<object> {
  // Checked once, by its tests: not again in each isolate.
  schema ??= buildSchema(SCHEMA, { assumeValid: true });
  const checked = documents.get(request.query) ?? check(schema, request.query);
  if (!('document' in checked)) return checked;
  keep(request.query, checked);
  const { document } = checked;
  return execute({
    schema,
    document,
    rootValue: rootOf(reader, host),
    variableValues: request.variables ?? {},
    // Go's client says an empty name where it has none.
    operationName: request.operationName || null,
  });
}

function check(schemaOf: GraphQLSchema, text: string): Checked | { data?: null; errors: readonly unknown[] } {
  let document: DocumentNode;
  try {
    document = parse(text, { maxTokens: MAX_TOKENS });
  } catch (error) {
    return { data: null, errors: [error] };
  }
  const depth = depthOf(document);
  if (depth > MAX_DEPTH)
    return { data: null, errors: [{ message: `the query is nested ${depth} levels deep, more than ${MAX_DEPTH}` }] };
  const errors = validate(schemaOf, document, RULES);
  return errors.length > 0 ? { errors } : { document };
}

function keep(text: string, checked: Checked): void {
  if (text.length > MAX_KEPT_CHARS) return;
  documents.delete(text);
  documents.set(text, checked);
  const [oldest] = documents.keys();
  if (documents.size > MAX_DOCUMENTS && oldest !== undefined) documents.delete(oldest);
}

/** People's clients declare an id as String where the schema says ULID, as the vendor's server lets them. */
const RULES = specifiedRules.filter(
  (rule) => rule !== VariablesInAllowedPositionRule && rule !== NoSchemaIntrospectionCustomRule,
);

function depthOf(node: unknown): number {
  let deepest = 0;
  const walk = (value: unknown, depth: number): void => {
    deepest = Math.max(deepest, depth);
    if (typeof value !== 'object' || value === null || depth > MAX_DEPTH + 1) return;
    const { selectionSet, definitions } = value as {
      selectionSet?: { selections: unknown[] };
      definitions?: unknown[];
    };
    for (const one of definitions ?? []) walk(one, depth);
    for (const one of selectionSet?.selections ?? []) walk(one, depth + 1);
  };
  walk(node, 0);
  return deepest;
}

function rootOf(reader: Reader, host: GraphqlHost): object {
  const { cell } = reader;
  const runOf = (id: string): Promise<RunRecord | null> => cell.query({ type: 'run', run: id });
  const needed = async (id: string): Promise<RunRecord> => {
    const run = await runOf(id);
    if (!run) throw new InngestError(404, 'unknown-run', `no run "${id}"`);
    return run;
  };
  return {
    apps: async ({ filter }: { filter?: { method?: string | null } | null }) =>
      (await allApps(cell))
        .filter(({ method }) => !filter?.method || method === filter.method)
        .map((app) => appView(reader, app)),
    app: async ({ id }: { id: string }) => {
      const app = await findApp(cell, id);
      return app && appView(reader, app);
    },
    functions: async () => (await reader.functions()).map((one) => functionView(reader, one)),
    functionBySlug: async ({ query }: { query: { functionSlug: string } }) => {
      const found = pickFunction(await reader.functions(), null, query.functionSlug);
      return found && functionView(reader, found);
    },
    functionRun: async ({ query }: { query: { functionRunId: string } }) => {
      const run = await runOf(query.functionRunId);
      return run && runView(reader, run);
    },
    run: async ({ runID }: { runID: string }) => {
      const run = await runOf(runID);
      return run && runV2View(reader, run);
    },
    runs: (args: never, _: unknown, info: GraphQLResolveInfo) =>
      listRuns(reader, args, isSelected(info, ['edges', 'node', 'output'])),
    runTraceSpanOutputByID: async ({ outputID }: { outputID: string }) => {
      const output = await outputOf(cell, outputID);
      if (!output) throw new InngestError(404, 'unknown-output', 'no output of this id');
      return { input: output.input, data: output.data, error: errorView(output.error) };
    },
    runTrace: async ({ runID }: { runID: string }) => {
      const run = await needed(runID);
      return spanView(reader, run, await traceOfRun(cell, run));
    },
    runTrigger: async ({ runID }: { runID: string }) => triggerView(reader, await needed(runID)),
    event: async ({ query }: { query: { eventId: string } }) => {
      const event = await cell.query({ type: 'event', id: query.eventId });
      return event && eventView(reader, event);
    },
    events: async ({ query }: { query: { lastEventId?: string | null } }) => {
      const cursor = query.lastEventId ? { cursor: query.lastEventId } : {};
      const page = await cell.query({ type: 'events', limit: MAX_STREAM, ...cursor });
      return page.items.map((event) => eventView(reader, event));
    },
    eventV2: async ({ id }: { id: string }) => {
      const event = await cell.query({ type: 'event', id });
      if (!event) throw new InngestError(404, 'unknown-event', `no event "${id}"`);
      return eventV2View(reader, event);
    },
    eventsV2: (args: never) => listEvents(reader, args),
    stream: async ({ query }: { query: { limit: number } }) => {
      const page = await cell.query({ type: 'events', limit: Math.min(Math.max(query.limit, 1), MAX_STREAM) });
      return page.items.map((event) => ({
        id: event.id,
        trigger: event.name,
        type: 'EVENT',
        createdAt: time(event.receivedAt),
        inBatch: false,
        runs: async () =>
          (await cell.query({ type: 'event-runs', event: event.id })).map((run) => runView(reader, run)),
      }));
    },
    workerConnections: async (args: never) => listConnections(reader, await host.connections(), args),
    workerConnection: async ({ connectionId }: { connectionId: string }) =>
      findConnection(reader, await host.connections(), connectionId),
    createApp: async ({ input }: { input: { url: string } }) => {
      const app = await findApp(cell, await host.sync(input.url));
      return app && appView(reader, app);
    },
    updateApp: async ({ input }: { input: { id: string; url: string } }) => {
      const app = await findApp(cell, input.id);
      if (!app) throw new InngestError(404, 'unknown-app', 'no such app');
      const synced = await findApp(cell, await host.sync(input.url));
      if (synced?.id !== app.id)
        throw new InngestError(
          422,
          'app_refused',
          `the app at ${input.url} is "${synced?.name ?? ''}", not "${app.name}"`,
        );
      return appView(reader, synced);
    },
    deleteApp: async ({ id }: { id: string }) => {
      const app = await findApp(cell, id);
      if (!app) throw new InngestError(404, 'unknown-app', 'no such app');
      await removeApp(cell, app);
      return app.id;
    },
    deleteAppByName: async ({ name }: { name: string }) => {
      const app = await findApp(cell, name);
      if (app) await removeApp(cell, app);
      return app !== null;
    },
    debugRun: () => refuseDebugging(),
    debugSession: () => refuseDebugging(),
    createDebugSession: () => refuseDebugging(),
    invokeFunction: async ({ data, functionSlug, user, ...debug }: InvokeArgs) => {
      if (debug.debugRunID || debug.debugSessionID) refuseDebugging();
      const found = pickFunction(await reader.functions(), null, functionSlug);
      if (!found) throw new InngestError(404, 'unknown-task', `no function "${functionSlug}" in ${groupOf('')}`);
      await invokeFunction(cell, found, { data, user }, { nowMs: host.nowMs, listed: true });
      return true;
    },
    cancelRun: async ({ runID }: { runID: string }) => {
      await needed(runID);
      await cell.apply([{ type: 'cancel', run: runID }]);
      return runView(reader, await needed(runID));
    },
    rerun: async ({ runID, fromStep, ...debug }: RerunArgs) => {
      if (debug.debugRunID || debug.debugSessionID) refuseDebugging();
      const run = await needed(runID);
      if (!fromStep) return rerunRun(cell, run, null);
      const { stepID, input } = fromStep;
      const text =
        input === undefined || input === null
          ? {}
          : { input: typeof input === 'string' ? input : JSON.stringify(input) };
      return rerunRun(cell, run, { step: stepID, ...text });
    },
  };
}

interface DebugArgs {
  debugSessionID?: string | null;
  debugRunID?: string | null;
}
interface InvokeArgs extends DebugArgs {
  data?: unknown;
  functionSlug: string;
  user?: unknown;
}
interface RerunArgs extends DebugArgs {
  runID: string;
  fromStep?: { stepID: string; input?: unknown } | null;
}

function refuseDebugging(): never {
  throw new InngestError(501, 'not_implemented', 'debugging step by step is not served by this server');
}

function errorView(text: string | null): object | null {
  if (text === null) return null;
  const value = JSON.parse(text) as { message?: unknown; name?: unknown; stack?: unknown; cause?: unknown } | null;
  const one = (member: unknown): string | null => (typeof member === 'string' ? member : null);
  return {
    message: one(value?.message) ?? text,
    name: one(value?.name),
    stack: one(value?.stack),
    cause: value?.cause ?? null,
  };
}

async function triggerView(reader: Reader, run: RunRecord): Promise<object> {
  const payloads = await originEvents(reader.cell, run);
  const batchID = await batchIdOf(reader.cell, run);
  const { name } = JSON.parse(payloads[0] ?? '{}') as { name?: string };
  // When the first of its events was sent, as their ids say (inngest/inngest: pkg/coreapi/graph/resolvers RunTrigger).
  const sentAt = run.eventIds.length === 0 ? run.createdAt : Math.min(...run.eventIds.map(idTimeMs));
  return {
    eventName: run.scheduledAt === null ? (name ?? '') : null,
    // The event of a cron is made for its run and stored nowhere: its id follows from the run.
    IDs: run.scheduledAt === null ? run.eventIds : [derivedUlid(run.scheduledAt, `cron ${run.id}`)],
    payloads,
    timestamp: time(run.scheduledAt ?? sentAt),
    isBatch: batchID !== null,
    batchID,
    cron: run.scheduledAt === null ? null : ((await reader.functionOf(run))?.fn.crons[0] ?? null),
  };
}
