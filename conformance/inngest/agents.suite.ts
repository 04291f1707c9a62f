import { createAgent, createNetwork, createTool, openai } from '@inngest/agent-kit';
import { z } from 'zod';
import { expect, suite } from '../harness/index.ts';
import { FLAVOURS, fail, startApp } from './apps.ts';

// The vendor's AgentKit, as its quick start and its guides to tools and networks use it: every inference is a step that the server makes the
// request of, every tool may have steps of its own (agentkit.inngest.com: getting-started/quick-start, concepts/tools, concepts/networks).

interface Chat {
  model: string;
  messages: Array<{ role: string; content: string | null; tool_calls?: unknown }>;
  tools?: Array<{ function: { name: string } }>;
}

for (const flavour of FLAVOURS.filter(({ version }) => version === 4)) {
  suite(
    { vendor: 'inngest', name: `agents (${flavour.label})`, sdk: '@inngest/agent-kit 0.13.2, inngest 4.24.0' },
    (s) => {
      s.case(
        ['I-39', 'I-22', 'I-24'],
        'a network of two agents with a tool: each inference once, over a provider that is busy at first',
        async (context) => {
          const name = context.unique('go');
          const asked: Chat[] = [];
          const keys = new Set<string | null>();
          const ran: string[] = [];
          let busy = 1;
          const provider = await context.serveHttp(async (request) => {
            keys.add(request.headers.get('authorization'));
            if (busy-- > 0) return Response.json({ error: { message: 'overloaded' } }, { status: 503 });
            const chat = (await request.json()) as Chat;
            asked.push(chat);
            const system = chat.messages[0]?.content ?? '';
            const usedTool = chat.messages.some(({ role }) => role === 'tool');
            const call = { id: 'c1', type: 'function', function: { name: 'find_order', arguments: '{"id":"7"}' } };
            const message =
              system.startsWith('You look up') && !usedTool
                ? { role: 'assistant', content: null, tool_calls: [call] }
                : {
                    role: 'assistant',
                    content: system.startsWith('You look up') ? 'looked up' : 'Your order 7 is on its way.',
                  };
            return Response.json({
              id: `chat-${asked.length}`,
              object: 'chat.completion',
              choices: [{ index: 0, finish_reason: message.content === null ? 'tool_calls' : 'stop', message }],
              usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
            });
          });
          const model = openai({ model: 'gpt-4o', apiKey: 'sk-test', baseUrl: `${provider.url}/v1/` });
          const findOrder = createTool({
            name: 'find_order',
            description: 'Finds an order',
            parameters: z.object({ id: z.string() }),
            handler: async ({ id }, { network, step }) => {
              const status = await step?.run('load order', () => (ran.push(`load ${id}`), 'sent'));
              network.state.kv.set('status', status);
              return `order ${id}: ${String(status)}`;
            },
          });
          const clerk = createAgent({ name: 'clerk', system: 'You look up orders.', tools: [findOrder] });
          const writer = createAgent({ name: 'writer', system: 'You write answers.' });
          const app = await startApp(context, flavour, [
            {
              id: 'support',
              triggers: [{ event: name }],
              body: async ({ event, step }) => {
                const network = createNetwork({
                  name: 'support',
                  agents: [clerk, writer],
                  defaultModel: model,
                  maxIter: 5,
                  router: ({ network, callCount }) =>
                    callCount >= 2 ? undefined : network.state.kv.get('status') === undefined ? clerk : writer,
                });
                const { state } = await network.run(String(event.data['question']));
                await step.sleep('pause', '1m');
                const last = state.results.at(-1)?.output.at(-1) as { content?: unknown } | undefined;
                return {
                  agents: state.results.map((result) => result.agentName),
                  status: state.kv.get('status'),
                  answer: last?.content,
                };
              },
            },
          ]);
          const { ids } = await app.send({ name, data: { question: 'Where is my order 7?' } });
          await context.clock.idle();
          await context.clock.advance(5 * 60_000);
          const [run] = await app.ended(ids[0] ?? fail('no id'));
          expect.deepEqual(
            [run?.status, run?.output],
            ['Completed', { agents: ['clerk', 'writer'], status: 'sent', answer: 'Your order 7 is on its way.' }],
          );
          expect.deepEqual(ran, ['load 7']);
          expect.deepEqual([...keys], ['Bearer sk-test']);
          expect.deepEqual(
            asked.map((chat) => [
              chat.messages[0]?.content?.slice(0, 12),
              chat.tools?.map((tool) => tool.function.name),
            ]),
            [
              ['You look up ', ['find_order']],
              ['You write an', undefined],
            ],
          );
        },
      );
    },
  );
}
