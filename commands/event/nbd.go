package event

// The events of this file are about disks that are served to others, and servers of others.

// Serving says where an image is served from now on.
type Serving struct {
	URI      string   `json:"uri" doc:"what clients open"`
	Export   string   `json:"export,omitempty" doc:"name of the export"`
	Path     string   `json:"path,omitempty" type:"path" doc:"the image, as it was given"`
	ReadOnly bool     `json:"read_only,omitempty" doc:"clients may only read"`
	TLS      bool     `json:"tls,omitempty" doc:"clients have to encrypt"`
	Bitmaps  []string `json:"bitmaps,omitempty" doc:"the dirty bitmaps that clients may see"`
	Unasked  bool     `json:"-"` // only programs want to hear it
}

// Kind of the event.
func (Serving) Kind() Kind { return Kind{"serving", "Where an image is served from now on."} }

// Client says that a client began to use what is served, or does so no more.
type Client struct {
	Number   int64  `json:"number" doc:"of the connection, from 1"`
	Address  string `json:"address" doc:"of the client, empty on a socket without a name"`
	Export   string `json:"export" doc:"what it uses"`
	Left     bool   `json:"left,omitempty" doc:"it does so no more"`
	Declined bool   `json:"declined,omitempty" doc:"it has left without having used any export"`
	Reason   string `json:"reason,omitempty" doc:"why, if it did not take leave"`
	Requests int64  `json:"requests,omitempty" doc:"how many were done for it"`
	Read     int64  `json:"read,omitempty" unit:"bytes" doc:"data that it read"`
	Written  int64  `json:"written,omitempty" unit:"bytes" doc:"data that it wrote"`
	Unasked  bool   `json:"-"` // only programs want to hear it
}

// Kind of the event.
func (Client) Kind() Kind {
	return Kind{"client", "A client began to use what is served, or does so no more."}
}

// Export is an export that a server has.
type Export struct {
	Name        string   `json:"name" doc:"its name, empty for the default one"`
	Description string   `json:"description,omitempty" doc:"in the server's words"`
	Size        uint64   `json:"size" unit:"bytes" doc:"its length"`
	Flags       string   `json:"flags,omitempty" doc:"what it can do"`
	Minimum     uint32   `json:"min_block,omitempty" unit:"bytes" doc:"unit of requests"`
	Preferred   uint32   `json:"preferred_block,omitempty" unit:"bytes" doc:"best unit of requests"`
	Maximum     uint32   `json:"max_payload,omitempty" unit:"bytes" doc:"most data of a request"`
	Contexts    []string `json:"contexts,omitempty" doc:"the meta contexts that it has"`
}

// Kind of the event.
func (Export) Kind() Kind { return Kind{"export", "An export that a server has."} }
