import { withTarget, type Phase } from '../bench.ts';
import { runListeners, topicListeners } from '../apps/listeners.ts';
import { startRepoint } from '../targets.ts';

export const listeners: Phase = {
  name: 'listeners',
  usage:
    '1,000 listeners of one run (long polls), 1,000 of one topic (WebSockets): memory each, time to each and to all',
  run: async (bench) =>
    withTarget(await startRepoint(), async (target) => {
      const options = { url: target.url, pids: target.pids, listeners: bench.amount(1_000), messages: 10 };
      await bench.measure('listeners of a topic', [{ target, body: () => topicListeners(options) }]);
      await bench.measure('listeners of a run', [{ target, body: () => runListeners(options) }]);
    }),
};
