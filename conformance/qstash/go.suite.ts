import { suite } from '../harness/index.ts';

/** The module proxy refuses the client's module, so it cannot be built here; nobody else serves Go modules. */
const MISSING = 'the Go client github.com/upstash/qstash-go is not to be had from the module proxy';

suite({ vendor: 'qstash', name: 'go', sdk: 'github.com/upstash/qstash-go' }, (s) => {
  // What that client sends is shown over plain HTTP: "paths and bodies as the Go client writes them".
  s.case(
    ['Q-30', 'Q-38', 'Q-43', 'Q-56', 'Q-85'],
    'Go: messages, schedules, dead letters and keys are managed',
    () => Promise.resolve(),
    { skip: MISSING },
  );
});
