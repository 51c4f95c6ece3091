// A question before something is deleted.
import type { JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

interface ConfirmProps {
  readonly title: string;
  readonly text: string;
  readonly yes: string;
  readonly onYes: () => void;
  readonly onNo: () => void;
}

/** A modal question; Escape means no, and so does the button that has the focus first. */
export function ConfirmDialog({ title, text, yes, onYes, onNo }: ConfirmProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby={`${id}-title`} aria-describedby={`${id}-text`} onClose={onNo}>
      <h2 id={`${id}-title`}>{title}</h2>
      <p id={`${id}-text`}>{text}</p>
      <div class="dialog-buttons">
        <button type="button" class="button is-plain" autofocus onClick={() => dialog.current!.close()}>
          Cancel
        </button>
        <button type="button" class="button is-danger" onClick={onYes}>
          {yes}
        </button>
      </div>
    </dialog>
  );
}
