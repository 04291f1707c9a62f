import type { Mutant } from './mutants.ts';

/** Bugs between a start and a run, and in what ends a run from outside. */
export const ADMISSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'a batch that is full goes on collecting',
    patch: {
      file: 'flow/admission.ts',
      find: 'return events >= rule.size || chars >= rule.maxBytes;',
      replace: 'return events > rule.size || chars >= rule.maxBytes;',
    },
  },
  {
    name: 'a batch forgets an event that joins it',
    patch: {
      file: 'engine/admit.ts',
      find: "{ kind: 'amend', addEvents: [event.id], grown: chars }",
      replace: "{ kind: 'amend', addEvents: eventIds.length > 1 ? [] : [event.id], grown: chars }",
    },
  },
  {
    name: 'a run that stopped collecting can still be joined',
    patch: { file: 'engine/window.ts', find: 'k.names.drop(window.name, head.id);', replace: '' },
  },
  {
    name: 'a debounce goes back to an older event',
    patch: {
      file: 'flow/admission.ts',
      find: "if (rule.keep === 'last' && arrival.ts < open.ts) return { do: 'ignore' };",
      replace: '',
    },
  },
  {
    name: 'what may start once starts again at once',
    patch: { file: 'engine/admit.ts', find: 'now + rule.ttlMs);', replace: 'now + rule.ttlMs / 2);' },
  },
  {
    name: 'a rate of starts is forgotten at once',
    patch: { file: 'engine/admit.ts', find: 'rateIdleAt(rule.bound, after, k.now));', replace: 'k.now);' },
    seed: 742_908_632,
  },
  {
    name: 'a run that takes the place of another lets it go on',
    patch: {
      file: 'engine/single.ts',
      find: "if (other) k.end(other, { status: 'cancelled', data: null, reason: 'replaced' });",
      replace: 'if (other) k.names.release(name);',
    },
  },
  {
    name: 'the only run of a key gives its place away',
    patch: {
      file: 'engine/start.ts',
      find: 'for (const name of holds) k.names.put(name, id, NEVER_MS);',
      replace: '',
    },
  },
  {
    name: 'the place of the only run is never free again',
    patch: {
      file: 'engine/end.ts',
      find: 'k.names.drop(name, run);',
      replace: 'if (name === window?.name) k.names.drop(name, run);',
    },
  },
  {
    name: 'an event cancels whatever waits for its name',
    patch: {
      file: 'engine/ingest.ts',
      find: 'if (waiter.guard !== null && !holds(waiter.guard, json(), k.now)) continue;',
      replace: "if (waiter.kind !== 'guard' && waiter.guard !== null && !holds(waiter.guard, json(), k.now)) continue;",
    },
  },
  {
    name: 'an event that is to cancel does nothing',
    patch: {
      file: 'engine/ingest.ts',
      find: 'resumed = fireEventGuard(k, waiter, event.name) || resumed;',
      replace: '',
    },
  },
  {
    name: 'a run that has begun is not ended in time',
    patch: {
      file: 'engine/guards.ts',
      find: 'if (finish !== undefined && !hasTimer(k, owner, FINISH))',
      replace: 'if (finish !== undefined && finish < 0)',
    },
  },
  {
    name: 'guards outlive their run',
    patch: { file: 'engine/end.ts', find: '  dropGuards(k, state);', replace: '' },
  },
  {
    name: 'an amendment moves the run in memory only',
    patch: {
      file: 'history/fold.ts',
      find: 'state.head = {\n    ...head,\n    ...plain,',
      replace: 'state.head = {\n    ...head,\n    ...(closed ? plain : { ...plain, dueAt: head.dueAt }),',
    },
  },
];
