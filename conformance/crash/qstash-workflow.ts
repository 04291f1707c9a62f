import { postJson, Refused } from './load.ts';

/** Steps of each run; the second is a call to a third party. */
const STEPS = 3;
const CALL_STEP = 2;

interface Place {
  base: string;
  /** Of the app. */
  url: string;
  key: string;
  authorization: string;
}

/** A message of a run, as an SDK that repeats its settings with every step sends it. */
export function workflowItem(
  destination: string,
  runId: string,
  init: string,
  body: string,
  more: Record<string, string> = {},
): object {
  const headers = {
    'upstash-workflow-runid': runId,
    'upstash-workflow-url': destination,
    'upstash-workflow-init': init,
    'upstash-retries': '5',
    'upstash-retry-delay': '300',
    ...more,
  };
  return { destination, headers, body };
}

/** What an SDK does at a delivery: the next step, a call, its answer as a step, or the end. */
export async function workflowAnswer(
  request: Request,
  place: Place,
  end: (runId: string) => Promise<number>,
): Promise<Response> {
  const { base, url, key, authorization } = place;
  const runId = `wfr_${key}`;
  const own = `${url}/workflow?k=${key}`;
  const headers = { 'upstash-workflow-sdk-version': '1' };
  const send = (item: object): Promise<void> => post(base, item, authorization);
  const step = (stepId: number, stepType: string): object =>
    workflowItem(
      own,
      runId,
      'false',
      JSON.stringify({ stepId, stepName: `s${stepId}`, stepType, out: '1', concurrent: 1 }),
    );
  if (request.headers.get('upstash-workflow-callback') === 'true') {
    const { status } = (await request.json()) as { status: number };
    if (status === 200) await send(step(CALL_STEP, 'Call'));
    return new Response(null, { headers });
  }
  const steps = (await request.json()) as Array<{ body: string; callType: string }>;
  // One that came twice is one, as for an SDK.
  const done = new Set(steps.slice(1).map(({ body }) => stepIdOf(body))).size;
  if (done >= STEPS) return new Response(null, { headers, status: await end(runId) });
  if (done + 1 !== CALL_STEP) await send(step(done + 1, 'Run'));
  else
    await send(
      workflowItem(`${url}/third?k=${key}`, runId, 'false', 'ask', {
        'upstash-workflow-url': own,
        'upstash-workflow-calltype': 'toCallback',
        'upstash-callback': own,
        'upstash-callback-workflow-runid': runId,
        'upstash-callback-workflow-calltype': 'fromCallback',
        'upstash-callback-workflow-init': 'false',
        'upstash-callback-workflow-url': own,
        'upstash-callback-retries': '5',
        'upstash-callback-forward-upstash-workflow-callback': 'true',
        'upstash-callback-forward-upstash-workflow-stepid': String(CALL_STEP),
        'upstash-callback-forward-upstash-workflow-stepname': `s${CALL_STEP}`,
        'upstash-callback-forward-upstash-workflow-steptype': 'Call',
        'upstash-callback-forward-upstash-workflow-concurrent': '1',
      }),
    );
  return new Response(null, { headers });
}

function stepIdOf(body: string): number {
  return (JSON.parse(Buffer.from(body, 'base64').toString()) as { stepId: number }).stepId;
}

async function post(base: string, item: object, authorization: string): Promise<void> {
  try {
    await postJson(`${base}/v2/batch`, [item], { authorization });
  } catch (error) {
    // A step posted twice: the run may have ended meanwhile.
    if (!(error instanceof Refused && / 400 /.test(error.message))) throw error;
  }
}

/** Returns what the app answers to the delivery. */
export async function finishRun(base: string, runId: string, authorization: string): Promise<number> {
  const end = await fetch(`${base}/v2/workflows/runs/${runId}?cancel=false`, {
    method: 'DELETE',
    headers: { authorization },
  });
  return end.ok || end.status === 400 || end.status === 404 ? 200 : 500;
}
