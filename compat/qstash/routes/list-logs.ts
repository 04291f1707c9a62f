import { TASK_MESSAGE } from '../constants.ts';
import { json } from '../errors.ts';
import { type Filter, parseFilter } from '../filters.ts';
import { type LogEvent, logEvents } from '../log-events.ts';
import type { Route } from '../route.ts';
import { scanRuns } from '../scan.ts';

const DEFAULT_COUNT = 100;
const MAX_COUNT = 1_000;

/** SDKs read `/v2/events` (field `events`), the documentation says `/v2/logs` (field `logs`). */
export function listLogs(field: 'events' | 'logs') {
  return async (route: Route): Promise<Response> => {
    const filter = parseFilter(route.query(), { strict: false, maxCount: MAX_COUNT, defaultCount: DEFAULT_COUNT });
    const count = filter.count ?? DEFAULT_COUNT;
    const start = readCursor(filter.cursor);
    const ofMessage: Filter = {
      ...filter,
      ascending: false,
      matches: (s) => filter.matches({ ...s, state: undefined }),
    };
    const events: LogEvent[] = [];
    let next: string | undefined;
    // A message's events stay together: pages go by message, newest first, and a cursor may stand inside one.
    for await (const { run, meta } of scanRuns(route, ofMessage, { task: TASK_MESSAGE, cursor: start.before })) {
      const history = await route.ask({ type: 'history', run: run.id });
      const all = (await logEvents(run, meta, history)).reverse();
      const matching = all.filter((event) => filter.matches({ run, meta, state: event.state }));
      const skip = run.id === start.run ? start.skip : 0;
      const wanted = matching.slice(skip, skip + count - events.length);
      events.push(...wanted);
      if (skip + wanted.length < matching.length) {
        next = `${run.id}.${skip + wanted.length}`;
        break;
      }
      if (events.length >= count) {
        next = `${run.id}.${matching.length}`;
        break;
      }
    }
    events.sort((a, b) => b.time - a.time);
    return json({ ...(next === undefined || events.length === 0 ? {} : { cursor: next }), [field]: events });
  };
}

/** `<run>.<events of it already shown>`. The page starts with that run, so the engine is asked for those just above it. */
function readCursor(cursor: string | undefined): { run?: string; skip: number; before?: string } {
  const match = /^([0-9A-Z]{26})\.(\d+)$/.exec(cursor ?? '');
  if (!match) return { skip: 0 };
  const run = match[1] as string;
  return { run, skip: Number(match[2]), before: `${run}~` };
}
