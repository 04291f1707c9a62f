import { type Inngest, NonRetriableError, openai } from 'inngest';

export interface Model {
  /** Base URL of an OpenAI-like API, with a slash at its end. */
  baseUrl: string;
  apiKey: string;
}

interface Completion {
  choices: Array<{ message: { content: string } }>;
}

interface Finding {
  topic: string;
  urgent: boolean;
}

/**
 * Reads letters of customers: fetches each, has a model say what it is about, has urgent ones answered in draft, and leaves the draft to a person.
 * The server makes the calls of the model, so no function runs, and none is paid for, while the model thinks.
 */
export function createPipeline(inngest: Inngest.Any, model: Model) {
  const ask = openai({ model: 'stub-1', ...model });

  const read = inngest.createFunction(
    { id: 'read-letter', triggers: [{ event: 'letter/received' }], retries: 2, concurrency: { limit: 2 } },
    async ({ event, step }) => {
      const { url } = event.data as { url: string };
      const letter = await step.fetch(url);
      if (!letter.ok) throw new NonRetriableError(`the letter is not there: ${letter.status}`);
      const text = await letter.text();

      const found = (await step.ai.infer('classify', {
        model: ask,
        body: { messages: [{ role: 'user', content: `classify: ${text}` }] },
      })) as Completion;
      const finding = await step.ai.wrap('parse', parseFinding, contentOf(found));
      if (!finding.urgent) return { ...finding, draft: null };

      const [draft, summary] = await Promise.all([
        step.ai.infer('draft', { model: ask, body: { messages: [{ role: 'user', content: `answer: ${text}` }] } }),
        step.ai.infer('summary', { model: ask, body: { messages: [{ role: 'user', content: `sum up: ${text}` }] } }),
      ]);
      const approved = await step.waitForEvent('approval', {
        event: 'draft/approved',
        if: `async.data.letter == "${url}"`,
        timeout: '2d',
      });
      return {
        ...finding,
        draft: contentOf(draft as Completion),
        summary: contentOf(summary as Completion),
        sent: approved !== null,
      };
    },
  );
  return [read];
}

function parseFinding(text: string): Promise<Finding> {
  const [topic = 'unknown', urgency] = text.split(',').map((part) => part.trim());
  return Promise.resolve({ topic, urgent: urgency === 'urgent' });
}

function contentOf(completion: Completion): string {
  return completion.choices[0]?.message.content ?? '';
}
