package event

import "slices"

// All is the least event of each kind. Each file lists its own.
func All() []Event {
	return slices.Concat(
		blockEvents(),
		dataEvents(),
		drawingEvents(),
		editEvents(),
		lifeEvents(),
		keyEvents(),
		mergeEvents(),
		serverEvents(),
		noticeEvents(),
		queueEvents(),
		reportEvents(),
		requestEvents(),
		shellEvents(),
		structureEvents(),
		snapshotEvents(),
		speedEvents(),
		undoEvents(),
		usageEvents(),
		wireEvents(),
	)
}
