import type { World } from './world.ts';

/** Reads never throw and change nothing. */
export function checkReads(world: World): void {
  const { rng, engine, tracker, checks } = world;
  const runs = [...tracker.runs.keys()];
  const run = runs.length > 0 ? rng.pick(runs) : 'nobody';
  const tracked = tracker.get(run);
  const detail = engine.query({ type: 'run-detail', run });
  if (tracked) {
    checks.that(
      'acknowledged',
      detail?.status === tracked.state.status,
      () => `run ${run} reads ${detail?.status}, is ${tracked.state.status}`,
    );
    checks.that(
      'fold',
      detail?.steps.length === tracked.state.steps.length,
      () => `run ${run} reads ${detail?.steps.length} steps`,
    );
  }
  engine.query({ type: 'runs', limit: 3, status: 'running' });
  const page = engine.query({ type: 'log', log: 'simulated', limit: 5 });
  checks.that(
    'lists',
    page.items.every(({ run, seq }) => (tracker.get(run)?.state.seq ?? -1) >= seq),
    () => `a log shows what its run has not: ${JSON.stringify(page.items.map(({ run, seq }) => [run, seq]))}`,
  );
  if (!tracked) return;
  const listed = engine.query({
    type: 'run-list',
    task: tracked.state.head.task,
    status: tracked.state.status,
    limit: 1000,
  });
  checks.that(
    'lists',
    listed.items.some(({ id }) => id === run),
    () => `run ${run} is not among those of its task and status`,
  );
  const [facts] = engine.query({ type: 'run-facts', ids: [run] }).items;
  checks.that('lists', facts?.status === detail?.status, () => `run ${run} is ${facts?.status} in a list of its facts`);
  engine.query({ type: 'limits' });
  engine.query({ type: 'dead-letters', limit: 2 });
  engine.query({ type: 'stats' });
}
