// The interactive elements of Block Kit outside of text: buttons, menus, choices and fields.
import { freshId, html, useContext, useEffect, useRef, useState } from './ui.js';
import { confirmFirst } from './confirm.js';
import { usePlacement } from './combobox.js';
import { SelectElement } from './selects.js';
import { Scope, act, choice, enter, valueOf } from './scope.js';
import { describeFailure } from './notes.js';
import { Plain, TextObject, openUrl, wordsOf } from './text.js';

/** Sends a choice to the app, after the confirm dialog if the element has one, and remembers whether it failed. */
function useAct(blockId, element, report) {
  const scope = useContext(Scope);
  const [busy, setBusy] = useState(false);
  const send = async (chosen) => {
    if (element.confirm && !(await confirmFirst(element.confirm))) return false;
    setBusy(true);
    report(null);
    const answer = await act(scope, blockId, element, chosen);
    setBusy(false);
    if (answer.ok === false) report(describeFailure(answer.error));
    return true;
  };
  return [busy, send];
}

function Button({ blockId, element, report }) {
  const [busy, send] = useAct(blockId, element, report);
  const click = () => {
    if (busy) return;
    if (element.url) openUrl(element.url);
    send(element.value === undefined ? {} : { value: element.value });
  };
  // Busy is told by aria-busy and not by `disabled`: that would throw away the keyboard's place.
  return html`
    <button type="button" class=${`button ${element.style ?? ''} ${busy ? 'busy' : ''}`} onClick=${click}
      aria-busy=${busy} aria-label=${element.accessibility_label ?? undefined} data-action-id=${element.action_id}>
      <${Plain} text=${element.text?.text} emoji=${element.text?.emoji !== false} />
    </button>`;
}

function Overflow({ blockId, element, report }) {
  const [open, setOpen] = useState(false);
  const [busy, send] = useAct(blockId, element, report);
  const anchor = useRef(null);
  const menu = useRef(null);
  usePlacement(open, anchor, menu);
  useEffect(() => { if (open) menu.current?.querySelector('button')?.focus(); }, [open]);
  const pick = (option) => {
    setOpen(false);
    if (option.url) openUrl(option.url);
    send({ selected_option: option });
  };
  const onKeyDown = (event) => menuKeys(event, () => { setOpen(false); anchor.current?.focus(); });
  return html`
    <span class="overflow" onKeyDown=${open ? onKeyDown : undefined}>
      <button type="button" class=${`button overflow-button ${busy ? 'busy' : ''}`} ref=${anchor} aria-haspopup="menu"
        aria-expanded=${open} aria-label="More actions" onClick=${() => setOpen(!open)}>⋯</button>
      ${open ? html`
        <div class="backdrop" onClick=${() => setOpen(false)}></div>
        <div class="popup menu" role="menu" ref=${menu} data-wide="1">
          ${(element.options ?? []).map((option) => html`
            <button type="button" role="menuitem" onClick=${() => pick(option)}><${TextObject} value=${option.text} /></button>`)}
        </div>` : null}
    </span>`;
}

/** Arrow keys and Escape within an open menu. */
export function menuKeys(event, shut) {
  if (event.key === 'Escape') { event.preventDefault(); event.stopPropagation(); shut(); return; }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = [...event.currentTarget.querySelectorAll('[role^="menuitem"]')];
  const next = all.indexOf(document.activeElement) + step;
  all[(next + all.length) % all.length]?.focus();
}

function Choices({ element, value, set, id, label, describedBy }) {
  const many = element.type === 'checkboxes';
  const [name] = useState(() => freshId('choice'));
  const chosen = many ? value ?? [] : value ? [value] : [];
  const has = (option) => chosen.some((c) => c.value === option.value);
  const toggle = (option) => {
    if (!many) set(option);
    else set(has(option) ? chosen.filter((c) => c.value !== option.value) : [...chosen, option]);
  };
  return html`
    <div class="choices" role=${many ? 'group' : 'radiogroup'} id=${id} aria-label=${label} aria-describedby=${describedBy}>
      ${(element.options ?? []).map((option) => html`
        <label key=${option.value}>
          <input type=${many ? 'checkbox' : 'radio'} name=${name} checked=${has(option)} onChange=${() => toggle(option)} />
          <span><${TextObject} value=${option.text} />
            ${option.description ? html`<small><${TextObject} value=${option.description} /></small>` : null}</span>
        </label>`)}
    </div>`;
}

const NATIVE = { datepicker: 'date', timepicker: 'time', datetimepicker: 'datetime-local' };

const twoDigits = (n) => String(n).padStart(2, '0');

function localMoment(seconds) {
  const d = new Date(seconds * 1000);
  return `${d.getFullYear()}-${twoDigits(d.getMonth() + 1)}-${twoDigits(d.getDate())}T${twoDigits(d.getHours())}:${twoDigits(d.getMinutes())}`;
}

function Picker({ element, value, set, id, label, describedBy, invalid }) {
  const moment = element.type === 'datetimepicker';
  const shown = moment && value ? localMoment(value) : value ?? '';
  const read = (text) => (text && moment ? Math.floor(new Date(text).getTime() / 1000) : text || null);
  return html`<input class="field" type=${NATIVE[element.type]} id=${id} aria-label=${label} aria-describedby=${describedBy}
    aria-invalid=${invalid ? 'true' : undefined} value=${shown} onChange=${(e) => set(read(e.target.value))} />`;
}

const FIELD_TYPE = { email_text_input: 'email', url_text_input: 'url' };

/** A text field. `dispatch` is called for the moments that the app asked to hear of. */
function TextField({ element, value, put, dispatch, id, label, describedBy, invalid }) {
  const field = useRef(null);
  const when = element.dispatch_action_config?.trigger_actions_on ?? ['on_enter_pressed'];
  const timer = useRef(0);
  useEffect(() => { if (element.focus_on_load) field.current?.focus(); }, []);
  const onInput = (event) => {
    put(event.target.value);
    clearTimeout(timer.current);
    const text = event.target.value;
    if (dispatch && when.includes('on_character_entered')) timer.current = setTimeout(() => dispatch(text), 300);
  };
  const onKeyDown = (event) => {
    const enters = event.key === 'Enter' && !event.shiftKey && !event.isComposing;
    if (!enters || !dispatch || element.multiline || !when.includes('on_enter_pressed')) return;
    event.preventDefault();
    dispatch(event.target.value);
  };
  const common = {
    id, class: 'field', value: value ?? '', onInput, onKeyDown, ref: field, placeholder: wordsOf(element.placeholder),
    'aria-label': label, 'aria-describedby': describedBy, 'aria-invalid': invalid ? 'true' : undefined,
    'data-action-id': element.action_id,
  };
  if (element.multiline) return html`<textarea rows="4" ...${common}></textarea>`;
  const mode = element.type === 'number_input' ? (element.is_decimal_allowed ? 'decimal' : 'numeric') : undefined;
  return html`<input type=${FIELD_TYPE[element.type] ?? 'text'} inputmode=${mode} autocomplete="off" ...${common} />`;
}

/** An element that holds a value: draws it, keeps what is entered, and tells the app when it wants to know. */
export function ValueElement({ blockId, element, tells, report, ...look }) {
  const scope = useContext(Scope);
  const [, send] = useAct(blockId, element, report);
  const value = valueOf(scope, blockId, element);
  const put = (next) => enter(scope, blockId, element, next);
  const set = async (next) => {
    put(next);
    if (tells && !(await send(choice(element, next)))) put(value);
  };
  if (element.type.endsWith('_select')) {
    return html`<${SelectElement} ...${look} blockId=${blockId} element=${element} value=${value} set=${set} />`;
  }
  if (/^(checkboxes|radio_buttons)$/.test(element.type)) {
    return html`<${Choices} ...${look} element=${element} value=${value} set=${set} />`;
  }
  if (NATIVE[element.type]) return html`<${Picker} ...${look} element=${element} value=${value} set=${set} />`;
  const dispatch = tells ? (text) => send(choice(element, text)) : null;
  return html`<${TextField} ...${look} element=${element} value=${value} put=${put} dispatch=${dispatch} />`;
}

const KNOWN = /(_select|_text_input|^number_input|^checkboxes|^radio_buttons|picker)$/;

/** Any element of an actions block or of a section's side. */
export function Element({ blockId, element, report }) {
  if (element.type === 'button' || element.type === 'workflow_button') {
    return html`<${Button} blockId=${blockId} element=${element} report=${report} />`;
  }
  if (element.type === 'overflow') return html`<${Overflow} blockId=${blockId} element=${element} report=${report} />`;
  if (!KNOWN.test(element.type)) return html`<span class="unknown">[${element.type}]</span>`;
  const label = wordsOf(element.placeholder) || element.type.replaceAll('_', ' ');
  return html`<${ValueElement} blockId=${blockId} element=${element} tells=${true} report=${report} label=${label} />`;
}
