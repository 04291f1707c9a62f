import { Client as QStash } from '@upstash/qstash';
import { Client, serve, type WorkflowContext } from '@upstash/workflow';
import type { CaseContext } from '../harness/index.ts';
import { receiverOf } from './support.ts';

type Route<Input> = (context: WorkflowContext<Input>) => Promise<unknown>;
type ServeOptions<Input> = NonNullable<Parameters<typeof serve<Input>>[1]>;

export interface ServedWorkflow {
  url: string;
  client: Client;
  /** Headers of every delivery, in order. */
  deliveries: Headers[];
  /** Bodies of every delivery. */
  bodies: string[];
  trigger(body?: unknown, options?: Record<string, unknown>): Promise<string>;
  run(workflowRunId: string): Promise<WorkflowRun>;
  /** Resolves when the run has ended, however. */
  ended(workflowRunId: string): Promise<WorkflowRun>;
}

export type WorkflowRun = Awaited<ReturnType<Client['logs']>>['runs'][number];

export function workflowOptions(context: CaseContext): {
  qstashClient: QStash;
  receiver: ReturnType<typeof receiverOf>;
} {
  const { url, environment } = context;
  return {
    // The SDK's types name their own copy of the client.
    qstashClient: new QStash({ baseUrl: url, token: environment.qstashToken, retry: false, enableTelemetry: false }),
    receiver: receiverOf(context),
  };
}

/** A workflow as its SDK serves it, signatures checked. */
export async function serveWorkflow<Input = unknown>(
  context: CaseContext,
  route: Route<Input>,
  options: Partial<ServeOptions<Input>> = {},
): Promise<ServedWorkflow> {
  const { handler } = serve<Input>(route, { ...workflowOptions(context), ...options } as ServeOptions<Input>);
  return serveWorkflowHandler(context, handler);
}

export async function serveWorkflowHandler(
  context: CaseContext,
  handler: (request: Request) => Promise<Response>,
  path = '/workflow',
): Promise<ServedWorkflow> {
  const deliveries: Headers[] = [];
  const bodies: string[] = [];
  const app = await context.serveHttp(async (request) => {
    deliveries.push(request.headers);
    bodies.push(await request.clone().text());
    return handler(request);
  });
  const url = app.url + path;
  const client = new Client({ baseUrl: context.url, token: context.environment.qstashToken, retry: false });
  const run = async (workflowRunId: string): Promise<WorkflowRun> => {
    const { runs } = await client.logs({ workflowRunId });
    if (runs[0] === undefined) throw new Error(`no run ${workflowRunId}`);
    return runs[0];
  };
  return {
    url,
    client,
    deliveries,
    bodies,
    run,
    async trigger(body, more = {}) {
      const { workflowRunId } = await client.trigger({ url, ...(body === undefined ? {} : { body }), ...more });
      return workflowRunId;
    },
    ended: (workflowRunId) =>
      context.until(
        async () => {
          const state = await run(workflowRunId);
          return state.workflowState === 'RUN_STARTED' ? null : state;
        },
        { what: `the end of ${workflowRunId}` },
      ),
  };
}

/** Names of the steps whose results the server has taken so far. */
export async function stepsTaken(context: CaseContext, workflowRunId: string): Promise<string[]> {
  const answer = await fetch(`${context.url}/v2/workflows/runs/${workflowRunId}`, {
    headers: { authorization: `Bearer ${context.environment.qstashToken}` },
  });
  const raw = (await answer.json()) as Array<{ body: string; callType: string }>;
  return raw
    .slice(1)
    .map(
      ({ body }) =>
        JSON.parse(Buffer.from(body, 'base64').toString()) as { stepName: string; out?: unknown; targetStep?: number },
    )
    .filter((step) => step.out !== undefined)
    .map((step) => step.stepName);
}
