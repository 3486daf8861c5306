// The open form of a person. Slack shows the top of the stack; the forms beneath keep what was entered.
import { html, useEffect, useRef, useState } from './ui.js';
import { post } from './api.js';
import { Blocks } from './blocks.js';
import { useModalDialog } from './confirm.js';
import { checkForm } from './formcheck.js';
import { fieldsOf, forgetClosed, sendAsIs, stateOf, viewScope } from './scope.js';
import { refreshViews, store } from './store.js';
import { wordsOf } from './text.js';

const TROUBLE = 'We had some trouble connecting. Try again?';

/** Puts the keyboard where a person would go on: the first wrong field, the field the app named, or the first one. */
function focusFirst(dialog) {
  const body = dialog.querySelector('.dialog-body');
  if (body.contains(document.activeElement)) return;
  const first = body.querySelector('[aria-invalid="true"]') ?? body.querySelector('input, textarea');
  (first ?? body).focus();
}

function useFormState(view) {
  const [problems, setProblems] = useState({});
  const [trouble, setTrouble] = useState(null);
  const [sending, setSending] = useState(false);
  useEffect(() => { setProblems({}); setTrouble(null); setSending(false); }, [view.id]);
  useEffect(() => { if (view.errors) setProblems({}); }, [view.errors]);
  return { problems, setProblems, trouble, setTrouble, sending, setSending };
}

async function submit(view, form) {
  if (form.sending || view.busy) return;
  const scope = viewScope(view);
  sendAsIs(scope);
  const problems = checkForm(scope);
  form.setTrouble(null);
  form.setProblems(problems);
  if (Object.keys(problems).length) return;
  form.setSending(true);
  const answer = await post('submit', { user: store.user, view_id: view.id, state: stateOf(scope) });
  await refreshViews();
  form.setSending(false);
  // Errors under the fields come with the view itself; they go away with it, too.
  if (answer.ok === false && !answer.errors) form.setTrouble(answer.text ?? TROUBLE);
}

async function close(view, form) {
  const answer = await post('close', { user: store.user, view_id: view.id });
  if (answer.ok === false && answer.error === 'unreachable') form.setTrouble(TROUBLE);
  await refreshViews();
}

function Footer({ view, form, hasFields }) {
  const busy = form.sending || view.busy;
  return html`
    <footer>
      <button type="button" class="button" onClick=${() => close(view, form)}>${wordsOf(view.close) || (hasFields ? 'Cancel' : 'Close')}</button>
      ${view.submit ? html`
        <button type="submit" class=${`button primary ${busy ? 'busy' : ''}`} aria-busy=${busy}>${wordsOf(view.submit)}</button>` : null}
    </footer>`;
}

function Modal({ view, depth }) {
  const dialog = useRef(null);
  const form = useFormState(view);
  useModalDialog(dialog);
  useEffect(() => { focusFirst(dialog.current); dialog.current.querySelector('.dialog-body').scrollTop = 0; }, [view.id]);
  useEffect(() => { dialog.current.querySelector('[aria-invalid="true"]')?.focus(); }, [form.problems, view.errors]);
  const shut = () => close(view, form);
  const onKeyDown = (event) => { if (event.key === 'Escape') { event.preventDefault(); shut(); } };
  const onSubmit = (event) => { event.preventDefault(); if (view.submit) submit(view, form); };
  const hasFields = (view.blocks ?? []).some((b) => b.type === 'input' || fieldsOf(b).length);
  return html`
    <dialog ref=${dialog} class="dialog modal" role="dialog" aria-modal="true" aria-labelledby="modal-title"
      onKeyDown=${onKeyDown} onCancel=${(e) => { e.preventDefault(); shut(); }}>
      <form noValidate onSubmit=${onSubmit} aria-busy=${form.sending || view.busy}>
        <header>
          ${depth > 1 ? html`<button type="button" class="icon-button" aria-label="Back" onClick=${shut}>‹</button>`
            : html`<span class="app-icon" aria-hidden="true">${store.workspace.app.name.charAt(0)}</span>`}
          <h2 id="modal-title">${wordsOf(view.title)}</h2>
          ${form.sending || view.busy ? html`<span class="spinner" role="status" aria-label="Working"></span>` : null}
          <button type="button" class="icon-button" aria-label="Close" onClick=${shut}>✕</button>
        </header>
        <div class="dialog-body" tabindex="-1">
          ${form.trouble ? html`<p class="trouble" role="alert">${form.trouble}</p>` : null}
          <${Blocks} scope=${viewScope(view)} problems=${form.problems} key=${view.id} />
        </div>
        <${Footer} view=${view} form=${form} hasFields=${hasFields} />
      </form>
    </dialog>`;
}

export function Modals() {
  const { stack } = store;
  useEffect(() => {
    const kept = new Set([...stack.map((v) => v.id), store.home?.id].filter(Boolean));
    forgetClosed(kept);
  }, [stack]);
  if (!stack.length) return null;
  return html`<${Modal} view=${stack.at(-1)} depth=${stack.length} />`;
}
