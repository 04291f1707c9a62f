/** A model that takes no computing: what it says depends on the last message alone. Busy at its first call, as real ones are. */
export function createModelStub(): { handle(request: Request): Promise<Response>; asked: string[] } {
  const asked: string[] = [];
  let calls = 0;
  return {
    asked,
    async handle(request) {
      if (request.headers.get('authorization') !== 'Bearer stub-key')
        return Response.json({ error: 'no key' }, { status: 401 });
      if (calls++ === 0) return Response.json({ error: 'busy' }, { status: 529, headers: { 'retry-after': '2' } });
      const { messages } = (await request.json()) as { messages: Array<{ content: string }> };
      const question = messages.at(-1)?.content ?? '';
      asked.push(question);
      return Response.json({ choices: [{ message: { role: 'assistant', content: answerTo(question) } }] });
    },
  };
}

function answerTo(question: string): string {
  const text = question.slice(question.indexOf(':') + 1).trim();
  if (question.startsWith('classify:')) return text.includes('broken') ? 'repair, urgent' : 'praise, calm';
  if (question.startsWith('answer:')) return `Dear customer, about "${text}": we are sorry.`;
  return text.split(' ').slice(0, 3).join(' ');
}
