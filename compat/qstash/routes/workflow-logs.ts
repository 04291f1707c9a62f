import { TASK_WORKFLOW } from '../constants.ts';
import { json, WireError } from '../errors.ts';
import { type Filter, parseFilter } from '../filters.ts';
import type { Route } from '../route.ts';
import { scanRuns } from '../scan.ts';
import { eventsOfRun, trimBodies, type WorkflowEvent } from '../workflow-events.ts';
import { workflowRunView } from '../workflow-log.ts';

const MAX_RUNS = 10;
const MAX_EVENTS = 1_000;
/** So many runs are looked through for one page: each costs a read of its whole history. */
const MAX_SCANNED = 200;

type View = Record<string, unknown>;

/**
 * Runs, newest first, or with no `groupBy` their events: run by run, the newest run's first. SDKs read `/v2/workflows/events`, the documentation says
 * `/v2/workflows/logs`.
 */
export async function workflowLogs(route: Route): Promise<Response> {
  const query = route.query();
  const groupBy = query.get('groupBy');
  if (groupBy !== null && groupBy !== 'workflowRunId')
    throw new WireError(400, `invalid query parameter groupBy: ${JSON.stringify(groupBy)} is not workflowRunId`);
  const states = query.getAll('state').flatMap((value) => value.split(',').filter((state) => state !== ''));
  query.delete('state');
  // As documented: with them all other filters are ignored.
  if (query.has('workflowRuns'))
    for (const name of [...query.keys()])
      if (!['workflowRuns', 'cursor', 'count', 'groupBy', 'trimBody', 'qstash_token'].includes(name))
        query.delete(name);
  // Where runs are cancelled, the URL is a prefix; here it is the whole.
  query.set('workflowUrlExactMatch', 'true');
  const trimBytes = trimOf(query);
  const max = groupBy === null ? MAX_EVENTS : MAX_RUNS;
  const filter: Filter = {
    ...parseFilter(query, { strict: false, maxCount: max, defaultCount: max }),
    ascending: false,
  };
  const trimmed = <T>(value: T): T => (trimBytes === null ? value : trimBodies(value, trimBytes));
  if (groupBy === null) {
    const { events, cursor } = await eventsPage(route, filter, states, max);
    return json({ events: trimmed(events), ...(cursor === undefined ? {} : { cursor }) });
  }
  const { runs, cursor } = await runsPage(route, filter, states, filter.count ?? max);
  return json({ runs: trimmed(runs), ...(cursor === undefined ? {} : { cursor }) });
}

function trimOf(query: URLSearchParams): number | null {
  const text = query.get('trimBody');
  if (text === null || text === '') return null;
  if (!/^(-1|\d{1,9})$/.test(text))
    throw new WireError(
      400,
      `invalid query parameter trimBody: ${JSON.stringify(text)} is not a number of bytes, or -1`,
    );
  return Number(text);
}

/** A run is of a state of runs, or has a step of a state of steps. */
function isOf(view: View, states: string[]): boolean {
  if (states.length === 0 || states.includes(view.workflowState as string)) return true;
  return (view.steps as Array<{ steps: Array<{ state: string }> }>).some(({ steps }) =>
    steps.some(({ state }) => states.includes(state)),
  );
}

async function runsPage(
  route: Route,
  filter: Filter,
  states: string[],
  count: number,
): Promise<{ runs: View[]; cursor?: string }> {
  const runs: View[] = [];
  let scanned = 0;
  let last: string | undefined;
  for await (const { run, meta } of scanRuns(route, filter, { task: TASK_WORKFLOW, cursor: filter.cursor })) {
    if (runs.length === count || scanned === MAX_SCANNED) return { runs, cursor: last };
    scanned++;
    const view = await workflowRunView(route, run.id, meta);
    if (isOf(view, states)) runs.push(view);
    last = run.id;
  }
  return { runs };
}

/** `<last whole run>|<run>~<its oldest events that were not shown yet>`: what a run adds in the meantime moves none of them. */
const CURSOR = /^(?<last>[^|]*)(?:\|(?<run>[^~]+)~(?<left>\d{1,9}))?$/;

async function eventsPage(
  route: Route,
  filter: Filter,
  states: string[],
  max: number,
): Promise<{ events: WorkflowEvent[]; cursor?: string }> {
  const count = filter.count ?? max;
  const events: WorkflowEvent[] = [];
  const from = CURSOR.exec(filter.cursor ?? '')?.groups ?? {};
  let last = from.last === '' ? undefined : from.last;
  let scanned = 0;
  for await (const { run, meta } of scanRuns(route, filter, { task: TASK_WORKFLOW, cursor: last })) {
    // Begun since the page before.
    if (from.run !== undefined && run.id > from.run) continue;
    if (scanned++ === MAX_SCANNED) return { events, cursor: last };
    const all = eventsOfRun(await workflowRunView(route, run.id, meta)).filter(
      ({ state }) => states.length === 0 || states.includes(state),
    );
    const own = run.id === from.run ? all.slice(Math.max(0, all.length - Number(from.left))) : all;
    const wanted = own.slice(0, count - events.length);
    events.push(...wanted);
    const left = own.length - wanted.length;
    if (left > 0) return { events, cursor: `${last ?? ''}|${run.id}~${left}` };
    last = run.id;
  }
  return { events };
}
