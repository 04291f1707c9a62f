import type { RunStatus } from '../../core/model/call.ts';
import type { RunSummary } from '../../core/model/query.ts';
import type { Filter, Subject } from './filters.ts';
import { parseMeta } from './meta.ts';
import type { Route } from './route.ts';

const PAGE = 200;

export interface ScannedRun extends Subject {
  run: RunSummary;
}

/** Runs of a task that pass the filter, a page of the engine at a time; the filter's count is not looked at. */
export async function* scanRuns(
  route: Route,
  filter: Filter,
  request: { task: string; status?: RunStatus; cursor?: string },
): AsyncGenerator<ScannedRun> {
  const { task, status } = request;
  let cursor = request.cursor;
  for (;;) {
    const page = await route.ask({
      type: 'run-list',
      task,
      status,
      cursor,
      limit: PAGE,
      order: filter.ascending ? 'asc' : 'desc',
    });
    for (const run of page.items) {
      const subject: ScannedRun = { run, meta: parseMeta(run.meta) };
      if (filter.matches(subject)) yield subject;
    }
    if (page.cursor === undefined) return;
    cursor = page.cursor;
  }
}
